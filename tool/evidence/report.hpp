#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/json.hpp"
#include "tool/evidence/store.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {

/// "2026-11-23T00:42:35Z" and "2026-11-23".
std::string iso_time(std::int64_t unix_seconds);
std::string iso_date(std::int64_t unix_seconds);

/// For text and attributes of XML and SVG. What XML 1.0 can't hold becomes '?'.
std::string escape_xml(std::string_view text);

/// "1.25× (1.10–1.40)"
std::string shown_ratio(const Ratio& ratio);
/// "12.3 MiB"
std::string shown_bytes(std::int64_t bytes);

/// The members "figures" and "gaps" of an object.
void write_figures(const std::vector<Figure>& figures, JsonWriter* json);

/// `{"evidence":[…]}`: whole records, newest first.
std::string evidence_json(const std::vector<Run>& runs);

/// docs/evidence.md out of the newest proof and measurement of each leaf. What
/// failed and what wasn't run is there like everything else.
std::string evidence_markdown(const Map& map, const std::vector<Run>& runs);

}  // namespace grove::tool
