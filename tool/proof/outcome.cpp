#include "tool/proof/outcome.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "grove/base/json.hpp"
#include "tool/evidence/report.hpp"
#include "tool/proof/output.hpp"

namespace grove::tool {
namespace {

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", seconds);
  return text.data();
}

}  // namespace

std::string_view Outcome::failure_log() const {
  std::string_view log = build_log;
  for (const PartOutcome& part : parts)
    if (log.empty()) log = part.log;
  return last_lines(log, 20);
}

std::string prove_json(const std::vector<Outcome>& outcomes) {
  JsonWriter json;
  json.begin_object().key("leaves").begin_array();
  for (const Outcome& outcome : outcomes) {
    json.begin_object().member("id", outcome.run.leaf).member("state", outcome.run.state);
    json.member("reason", outcome.run.reason);
    write_figures(outcome.run.figures, &json);
    json.member("seconds", outcome.run.seconds).member("unchanged", outcome.unchanged);
    json.key("missing_packages").begin_array();
    for (const std::string& package : outcome.missing) json.value(package);
    json.end_array().end_object();
  }
  return std::move(json.end_array().end_object()).str();
}

std::string junit_xml(const std::vector<Outcome>& outcomes) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"grove prove\">\n";
  for (const Outcome& outcome : outcomes) {
    const std::string& id = outcome.run.leaf;
    // What stopped before its parts (a build that failed, a missing package) is a case of its own.
    std::vector<PartOutcome> parts = outcome.parts;
    if (parts.empty()) parts.push_back({"prove", outcome.run.state, outcome.run.reason, outcome.run.seconds, {}});
    const auto count = [&](std::string_view state) {
      return std::to_string(std::ranges::count(parts, state, &PartOutcome::state));
    };
    text += "  <testsuite name=\"" + escape_xml(id) + "\" tests=\"" + std::to_string(parts.size()) + "\" failures=\"" +
            count("failed") + "\" skipped=\"" + count("not-run") + "\" time=\"" + seconds_text(outcome.run.seconds) +
            "\"" + (outcome.run.time == 0 ? "" : " timestamp=\"" + iso_time(outcome.run.time) + "\"") +
            ">\n    <properties>\n";
    for (const Figure& figure : outcome.run.figures)
      text += "      <property name=\"" + escape_xml(figure.name) + "\" value=\"" + escape_xml(shown_value(figure)) +
              "\"/>\n";
    text += "    </properties>\n";
    for (const PartOutcome& part : parts) {
      text += "    <testcase classname=\"" + escape_xml(id) + "\" name=\"" + escape_xml(part.name) + "\" time=\"" +
              seconds_text(part.seconds) + "\">";
      if (part.state == "failed")
        text += "<failure message=\"" + escape_xml(part.reason) + "\">" +
                escape_xml(last_lines(part.log.empty() ? outcome.build_log : part.log, 200)) + "</failure>";
      if (part.state == "not-run") text += "<skipped message=\"" + escape_xml(part.reason) + "\"/>";
      text += "</testcase>\n";
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace grove::tool
