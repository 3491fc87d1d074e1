#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

struct sb_stemmer;

namespace grove::tool {

/// Cuts text into the terms that the index holds and a query looks up:
/// - runs of letters and digits, lower case, English stems (Snowball); a run
///   that mixes letters and digits also gives its parts (http2: http2, http, 2),
///   and words joined by - _ . also give the whole (io_uring: io, uring, iouring);
/// - runs of Chinese characters as bigrams, so two-character words are found
///   without knowing where words end; a run of one character as itself.
/// Full-width ASCII counts as ASCII. Not thread safe (the stemmer has a buffer).
class Tokenizer {
 public:
  Tokenizer();
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  void each(std::string_view text, const std::function<void(std::string_view)>& term);

 private:
  std::string_view stem(const std::string& word);
  sb_stemmer* stemmer_;
  std::unordered_map<std::string, std::string> stems_;  ///< Words come again and again.
};

/// The whole phrase as one term ("=rate limiting"), for exact titles and names:
/// lower case, - and _ as spaces, single spaces.
std::string phrase_term(std::string_view text);

}  // namespace grove::tool
