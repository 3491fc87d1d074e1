#include "tool/map/tokens.hpp"

#include <libstemmer.h>

#include <vector>

#include "grove/base/text.hpp"

namespace grove::tool {
namespace {

/// Full-width forms count as their ASCII ones.
CodePoint decode(std::string_view text) {
  CodePoint point = first_code_point(text);
  if (point.value >= 0xff01 && point.value <= 0xff5e) point.value -= 0xfee0;
  return point;
}

bool is_han(char32_t c) {
  return (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3134f);
}
bool is_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c < 0x2000 && c != 0xd7 && c != 0xf7);
}
bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

void append_lower(std::string* out, std::string_view raw, char32_t c) {
  if (c >= 'A' && c <= 'Z')
    *out += static_cast<char>(c + 32);
  else if (c < 0x80)
    *out += static_cast<char>(c);
  else
    *out += raw;
}

}  // namespace

Tokenizer::Tokenizer() : stemmer_(sb_stemmer_new("english", "UTF_8")) {}
Tokenizer::~Tokenizer() { sb_stemmer_delete(stemmer_); }

std::string_view Tokenizer::stem(const std::string& word) {
  if (stems_.size() > 100'000) stems_.clear();
  std::string& stem = stems_[word];
  if (!stem.empty()) return stem;
  const sb_symbol* stemmed =
      sb_stemmer_stem(stemmer_, reinterpret_cast<const sb_symbol*>(word.data()), static_cast<int>(word.size()));
  stem = stemmed == nullptr ? word
                            : std::string(reinterpret_cast<const char*>(stemmed),
                                          static_cast<std::size_t>(sb_stemmer_length(stemmer_)));
  return stem;
}

void Tokenizer::each(std::string_view text, const std::function<void(std::string_view)>& term) {
  std::string word;      // the run of letters and digits being read
  std::string compound;  // words joined by - _ . so far
  std::size_t joined = 0;
  std::string previous_han;
  bool han_alone = false;

  const auto end_word = [&] {
    if (word.empty()) return;
    term(stem(word));
    // The parts of a word that mixes letters and digits.
    std::vector<std::string> parts;
    for (const char c : word) {
      const bool digit = is_digit(static_cast<unsigned char>(c));
      if (parts.empty() || is_digit(static_cast<unsigned char>(parts.back().back())) != digit) parts.emplace_back();
      parts.back() += c;
    }
    if (parts.size() > 1)
      for (const std::string& part : parts) term(stem(part));
    compound += word;
    ++joined;
    word.clear();
  };
  const auto end_compound = [&] {
    end_word();
    if (joined > 1 && compound.size() <= 40) term(compound);
    compound.clear();
    joined = 0;
  };
  const auto end_han = [&] {
    if (han_alone) term(previous_han);
    previous_han.clear();
    han_alone = false;
  };

  while (!text.empty()) {
    const CodePoint p = decode(text);
    const std::string_view raw = text.substr(0, p.size);
    if (is_han(p.value)) {
      end_compound();
      if (previous_han.empty()) {
        han_alone = true;
      } else {
        term(previous_han + std::string(raw));
        han_alone = false;
      }
      previous_han = raw;
    } else {
      end_han();
      if (is_letter(p.value) || is_digit(p.value)) {
        if (word.size() < 64) append_lower(&word, raw, p.value);
      } else if (p.value == '-' || p.value == '_' || p.value == '.') {
        end_word();
      } else if (p.value == '+' && !word.empty() && word.size() < 3) {
        word += '+';  // c++
      } else {
        end_compound();
      }
    }
    text.remove_prefix(p.size);
  }
  end_compound();
  end_han();
}

std::string phrase_term(std::string_view text) {
  std::string phrase = "=";
  while (!text.empty()) {
    const CodePoint p = decode(text);
    if (p.value == ' ' || p.value == '-' || p.value == '_' || p.value == '\t') {
      if (phrase.back() != ' ' && phrase.size() > 1) phrase += ' ';
    } else {
      append_lower(&phrase, text.substr(0, p.size), p.value);
    }
    text.remove_prefix(p.size);
  }
  while (phrase.back() == ' ') phrase.pop_back();
  return phrase;
}

}  // namespace grove::tool
