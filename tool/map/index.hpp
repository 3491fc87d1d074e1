#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::tool {

/// What the index keeps of a leaf, enough for a list; `show` reads leaf.toml.
struct Entry {
  std::string_view id;
  std::string_view kind;
  std::string_view maturity;
  std::string_view library;
  std::string_view title_en;
  std::string_view title_zh;
  std::string_view summary_en;
  std::string_view summary_zh;
  bool built = false;
};

struct Hit {
  std::uint32_t entry = 0;
  float score = 0;
};

/// The map as one memory-mapped file: entries in map order, and an inverted
/// index with the BM25F impact of every posting computed in advance, so that a
/// search adds numbers. Kept in the user's cache folder and made anew when the
/// map has changed.
///
/// Freshness: every folder of the map is watched by its modification time. In a
/// map of up to 4,096 leaves so is every leaf.toml; in a larger one only those
/// that a search shows (`search` re-reads the map when one has changed).
class Index {
 public:
  /// Opens the cached index, or builds it.
  static Result<Index> open(const std::filesystem::path& root);
  /// Builds the index file, whatever is cached.
  static Result<Index> build(const std::filesystem::path& root);

  Index(Index&& other) noexcept;
  Index& operator=(Index&& other) noexcept;
  ~Index();

  std::size_t size() const { return entries_; }
  Entry entry(std::size_t i) const;
  /// The entry with that id, or `size()`.
  std::size_t find(std::string_view id) const;

  /// Best first. A word that the index doesn't have is completed (find "conc"),
  /// or else corrected by one or two letters.
  std::vector<Hit> search(std::string_view words, std::size_t limit) const;

  /// False when the leaf.toml of one of these entries is newer than the index.
  bool is_fresh(std::span<const Hit> hits) const;

 private:
  Index() = default;
  static Result<Index> map_file(const std::filesystem::path& root, const std::filesystem::path& file);
  bool check_watched() const;
  std::string_view term(std::size_t i) const;
  std::size_t lower_bound(std::string_view wanted) const;

  std::filesystem::path root_;
  const std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t entries_ = 0;
  std::size_t terms_ = 0;
};

/// Where the index of this map is kept.
std::filesystem::path index_path(const std::filesystem::path& root);

}  // namespace grove::tool
