#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"
#include "tool/project/hash.hpp"
#include "tool/project/texts.hpp"

namespace grove::tool {
namespace {

/// Debian's short names that differ from SPDX's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kSpdx{{
    {"expat", "MIT"},
    {"boost-1.0", "BSL-1.0"},
    {"boost", "BSL-1.0"},
    {"gpl-2", "GPL-2.0-only"},
    {"gpl-2+", "GPL-2.0-or-later"},
    {"gpl-2.0+", "GPL-2.0-or-later"},
    {"gpl-3", "GPL-3.0-only"},
    {"gpl-3+", "GPL-3.0-or-later"},
    {"lgpl-2", "LGPL-2.0-only"},
    {"lgpl-2+", "LGPL-2.0-or-later"},
    {"lgpl-2.1", "LGPL-2.1-only"},
    {"lgpl-2.1+", "LGPL-2.1-or-later"},
    {"lgpl-3", "LGPL-3.0-only"},
    {"lgpl-3+", "LGPL-3.0-or-later"},
    {"mpl-2.0", "MPL-2.0"},
    {"zlib", "Zlib"},
    {"isc", "ISC"},
    {"public-domain", "LicenseRef-public-domain"},
}};
/// Names that are SPDX's own but for their case.
constexpr std::array<std::string_view, 8> kSame{"Apache-2.0", "MIT",     "BSD-2-Clause", "BSD-3-Clause",
                                                "CC0-1.0",    "BSL-1.0", "PostgreSQL",   "Unlicense"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string spdx_of(std::string_view name) {
  const std::string low = lower(name);
  for (const auto& [debian, spdx] : kSpdx)
    if (low == debian) return std::string(spdx);
  for (const std::string_view same : kSame)
    if (low == lower(same)) return std::string(same);
  return {};
}

/// purl: only letters, digits and .-_~ stand for themselves.
std::string percent(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '.' || c == '-' || c == '_' || c == '~' || c == ':') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

void licence(JsonWriter& json, const std::string& expression) {
  if (expression.empty()) return;
  json.key("licenses").begin_array().begin_object().member("expression", expression).end_object().end_array();
}

std::string short_version(const std::string& version) { return version.substr(0, 16); }
std::string leaf_ref(const std::string& id, const std::string& version) {
  std::string name = id;
  std::replace(name.begin(), name.end(), '/', '.');
  return "pkg:generic/grove/" + percent(name) + "@" + short_version(version);
}
std::string debian_ref(const std::string& name, const std::map<std::string, std::string>& versions) {
  const auto version = versions.find(name);
  return "pkg:deb/debian/" + percent(name) + (version == versions.end() ? "" : "@" + percent(version->second));
}

void depends(JsonWriter& json, const std::string& ref, const std::set<std::string>& on) {
  json.begin_object().member("ref", ref).key("dependsOn").begin_array();
  for (const std::string& other : on) json.value(other);
  json.end_array().end_object();
}

}  // namespace

std::string debian_licence(std::string_view text) {
  // Paragraphs are separated by empty lines; continuation lines begin with a space.
  bool all_files = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) all_files = false;
    if (line.starts_with("Files:")) all_files = line.substr(6).find_first_not_of(" *") == std::string_view::npos;
    if (!all_files || !line.starts_with("License:")) continue;
    line.remove_prefix(8);
    while (line.starts_with(' ')) line.remove_prefix(1);
    while (line.ends_with(' ')) line.remove_suffix(1);
    std::string expression;
    while (!line.empty()) {
      const std::size_t space = std::min(line.find(' '), line.size());
      const std::string_view word = line.substr(0, space);
      line.remove_prefix(std::min(space + 1, line.size()));
      if (!expression.empty()) expression += ' ';
      if (word == "or" || word == "and") {
        expression += word == "or" ? "OR" : "AND";
        continue;
      }
      const std::string spdx = spdx_of(word);
      if (spdx.empty()) return {};  // a name that SPDX doesn't have: say nothing rather than guess
      expression += spdx;
    }
    return expression;
  }
  return {};
}

std::string sbom(const Project& project, const std::map<std::string, std::string>& versions) {
  const std::string self = "pkg:generic/" + percent(project.name) + "@0.1.0";
  const LockedLeaf& base = *project.lock.find("base");

  JsonWriter body;  // the components and dependencies; the serial number is made from it
  body.begin_object().key("components").begin_array();
  const auto component = [&](const std::string& id, const std::string& title, const std::string& expression,
                             const LockedLeaf& locked) {
    body.begin_object().member("type", "library").member("bom-ref", leaf_ref(id, locked.version));
    body.member("group", "grove").member("name", id).member("version", short_version(locked.version));
    if (!title.empty()) body.member("description", title);
    body.key("hashes").begin_array().begin_object().member("alg", "SHA-256").member("content", locked.version);
    body.end_object().end_array();
    licence(body, expression);
    body.member("purl", leaf_ref(id, locked.version)).end_object();
  };
  component("base", "what every component shares", "Apache-2.0", base);
  for (const Leaf& leaf : project.leaves)
    component(leaf.id, leaf.title.en, leaf.licence.empty() ? "Apache-2.0" : leaf.licence, *project.lock.find(leaf.id));
  for (const std::string& package : project.debian) {
    const auto version = versions.find(package);
    body.begin_object().member("type", "library").member("bom-ref", debian_ref(package, versions));
    body.member("name", package);
    if (version != versions.end()) {
      body.member("version", version->second);
      if (const auto copyright = read_file("/usr/share/doc/" + package + "/copyright", 4 << 20))
        licence(body, debian_licence(*copyright));
    }
    body.member("purl", debian_ref(package, versions)).end_object();
  }
  body.end_array().key("dependencies").begin_array();
  std::set<std::string> top{leaf_ref("base", base.version)};
  for (const std::string& id : project.chosen) top.insert(leaf_ref(id, project.lock.find(id)->version));
  depends(body, self, top);
  for (const Leaf& leaf : project.leaves) {
    std::set<std::string> on{leaf_ref("base", base.version)};
    for (const std::string& used : leaf.uses) on.insert(leaf_ref(used, project.lock.find(used)->version));
    for (const std::string& package : leaf.debian) on.insert(debian_ref(package, versions));
    depends(body, leaf_ref(leaf.id, project.lock.find(leaf.id)->version), on);
  }
  body.end_array().end_object();
  const std::string parts = std::move(body).str();

  std::string uuid = sha256_hex(parts + self).substr(0, 32);
  uuid[12] = '8';  // RFC 9562: version 8, made of a hash of our own choice
  uuid[16] = "89ab"[static_cast<unsigned char>(uuid[16]) % 4];
  for (const std::size_t at : {8u, 13u, 18u, 23u}) uuid.insert(at, "-");

  JsonWriter head;
  head.begin_object().member("bomFormat", "CycloneDX").member("specVersion", "1.6");
  head.member("serialNumber", "urn:uuid:" + uuid).member("version", 1).key("metadata").begin_object();
  head.key("tools").begin_object().key("components").begin_array().begin_object();
  head.member("type", "application").member("name", "grove").member("version", project.lock.grove_version);
  head.end_object().end_array().end_object();
  head.key("component").begin_object().member("type", "application").member("bom-ref", self);
  head.member("name", project.name).member("version", "0.1.0").member("purl", self).end_object().end_object();
  head.end_object();
  std::string out = std::move(head).str();
  out.pop_back();  // its closing brace; the two objects become one
  out += "," + parts.substr(1);

  // One component a line, so that a difference can be read.
  std::string lines;
  for (std::size_t i = 0; i < out.size(); ++i) {
    lines += out[i];
    if ((out[i] == ',' && out.compare(i + 1, 9, "{\"type\":\"") == 0) ||
        (out[i] == ',' && out.compare(i + 1, 8, "{\"ref\":\"") == 0))
      lines += '\n';
  }
  return lines + "\n";
}

}  // namespace grove::tool
