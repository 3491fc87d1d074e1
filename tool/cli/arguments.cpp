#include <algorithm>

#include "tool/cli/command.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {

Result<Arguments> Arguments::parse(std::span<const OptionSpec> options, std::span<const std::string_view> words) {
  Arguments parsed;
  bool only_positional = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (only_positional || word.size() < 2 || word.front() != '-') {
      parsed.positional_.emplace_back(word);
      continue;
    }
    if (word == "--") {
      only_positional = true;
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto spec = std::find_if(options.begin(), options.end(), [&](const OptionSpec& o) { return o.name == name; });
    if (spec == options.end()) {
      std::vector<std::string> names{"--help", "--json"};
      for (const OptionSpec& option : options) names.emplace_back(option.name);
      return fail(Errc::invalid_argument,
                  "no option is called " + std::string(name) + "; did you mean " + nearest(name, names, 1).at(0) + "?");
    }
    if (spec->value_name.empty()) {
      if (equals != std::string_view::npos) return fail(Errc::invalid_argument, std::string(name) + " takes no value");
      parsed.options_.emplace_back(name, "");
    } else if (equals != std::string_view::npos) {
      parsed.options_.emplace_back(name, word.substr(equals + 1));
    } else if (i + 1 < words.size()) {
      parsed.options_.emplace_back(name, words[++i]);
    } else {
      return fail(Errc::invalid_argument,
                  std::string(name) + " needs a value: " + std::string(name) + " " + std::string(spec->value_name));
    }
  }
  return parsed;
}

bool Arguments::has(std::string_view name) const { return value(name).has_value(); }

std::optional<std::string> Arguments::value(std::string_view name) const {
  std::optional<std::string> last;
  for (const auto& [option, text] : options_)
    if (option == name) last = text;
  return last;
}

std::vector<std::string> Arguments::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [option, text] : options_) {
    if (option != name) continue;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      if (comma > at) all.push_back(text.substr(at, comma - at));
      at = comma + 1;
    }
  }
  return all;
}

}  // namespace grove::tool
