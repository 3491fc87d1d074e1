#include "tool/evidence/report.hpp"

#include <simdjson.h>

#include "grove/base/test/test.hpp"

using namespace grove::tool;

namespace {

Run sample(std::string kind, std::string leaf, std::string state, std::string cpu) {
  Run run;
  run.time = 1'700'000'000;
  run.kind = std::move(kind);
  run.leaf = std::move(leaf);
  run.state = std::move(state);
  run.commit = "0123456789abcdef";
  run.machine = {"g++ 12", "Linux 6", std::move(cpu), 2, std::int64_t{24} << 30};
  run.packages = R"({"zlib1g-dev":"1.2"})";
  return run;
}

}  // namespace

TEST_CASE("times, ratios and sizes as people read them") {
  CHECK(iso_time(1'700'000'000) == "2023-11-14T22:13:20Z");
  CHECK(iso_date(0) == "1970-01-01");
  CHECK(shown_ratio({"w", "p", 1.256, 1, 2}) == "1.26× (1.00–2.00)");
  CHECK(shown_bytes(512) == "0 KiB");
  CHECK(shown_bytes(3 << 20) == "3.0 MiB");
  CHECK(escape_xml("a<b>&\"\x01") == "a&lt;b&gt;&amp;&quot;?");
}

TEST_CASE("the report shows the newest of each kind, failures and gaps too, and names each machine once") {
  Map map;
  map.trees.push_back({.id = "data", .title = {"data", "数据"}});
  for (const char* id : {"data/a", "data/b", "data/c"}) map.leaves.push_back({.id = id, .built = true});
  map.leaves.back().built = false;
  std::vector<Run> runs{sample("prove", "data/a", "passed", "new|cpu"), sample("prove", "data/b", "failed", "old"),
                        sample("prove", "data/a", "failed", "old"), sample("bench", "data/b", "failed", "old")};
  runs[0].figures = {{"conformance", 7, "cases", "7/9"}, {"sgx", 0, "gap", "no such CPU"}};
  runs[1].reason = "unit: a | b";
  runs[3].ratios = {{"get", "moka", 1.5, 1.25, 1.75, 7, "op", 2e6, 1e6, 1 << 20, 2 << 20, "ff"}};
  runs[3].reason = "put: not the same work";
  const std::string text = evidence_markdown(map, runs);
  CAPTURE(text);
  CHECK(text.find("3 leaves, 2 built; 1 proven, 1 failed, 0 not run, 1 measured.") != std::string::npos);
  CHECK(text.find("| `data/a` | passed | 2023-11-14 | M1 | 0123456789 | conformance 7/9 cases |") != std::string::npos);
  CHECK(text.find("| `data/b` | failed | 2023-11-14 | M2 | 0123456789 | unit: a \\| b |") != std::string::npos);
  CHECK(text.find("- `data/a`: sgx: no such CPU") != std::string::npos);
  CHECK(text.find("| get | moka | 1.50× (1.25–1.75) |") != std::string::npos);
  CHECK(text.find("failed: put: not the same work") != std::string::npos);
  CHECK(text.find("- M2: old, 2 cores, 24.0 GiB, Linux 6, g++ 12") != std::string::npos);
  CHECK(text.find("M3") == std::string::npos);
}

TEST_CASE("the JSON of evidence is JSON, with every part of the record") {
  std::vector<Run> runs{sample("prove", "data/a", "passed", "cpu \"x\"")};
  runs[0].figures = {{"speed", 12.5, "op/s", ""}, {"conformance", 7, "cases", "7/9"}, {"sgx", 0, "gap", "none"}};
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  REQUIRE(parser.parse(evidence_json(runs)).get(document) == simdjson::SUCCESS);
  const auto record = document["evidence"].at(0);
  CHECK(std::string_view(record["id"]) == "data/a");
  CHECK(std::string_view(record["time"]) == "2023-11-14T22:13:20Z");
  CHECK(double(record["figures"].at(0)["value"]) == 12.5);
  CHECK(std::string_view(record["figures"].at(1)["text"]) == "7/9");
  CHECK(record["figures"].get_array().size() == 2);
  CHECK(std::string_view(record["gaps"].at(0)["reason"]) == "none");
  CHECK(std::string_view(record["machine"]["cpu"]) == "cpu \"x\"");
  CHECK(std::string_view(record["packages"]["zlib1g-dev"]) == "1.2");
}
