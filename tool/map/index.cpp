#include "tool/map/index.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "grove/base/process.hpp"
#include "tool/map/load.hpp"
#include "tool/map/tokens.hpp"

namespace grove::tool {
namespace {

constexpr std::size_t kWatchLeavesUpTo = 4096;
constexpr std::size_t kEntryFields = 8;

/// The file: this header, then the sections at 8-byte boundaries, all in the
/// machine's byte order (the cache never leaves the machine).
struct Header {
  std::array<char, 8> magic;
  std::uint64_t file_bytes;
  std::uint32_t entries;
  std::uint32_t terms;
  std::uint32_t watched;
  std::uint32_t unused;
  std::uint64_t entry_offsets;    // u32[entries * kEntryFields + 1] into `text`; `built` is the id field's first byte
  std::uint64_t id_order;         // u32[entries]: entries sorted by id
  std::uint64_t term_offsets;     // u32[terms + 1] into `text`
  std::uint64_t posting_offsets;  // u64[terms + 1], in postings
  std::uint64_t postings;         // Posting[]
  std::uint64_t watch;            // Watch[watched]
  std::uint64_t text;
};
constexpr std::array<char, 8> kMagic{'g', 'r', 'o', 'v', 'e', 'i', 'x', '3'};

struct Posting {
  std::uint32_t entry;
  float impact;
};

struct Watch {
  std::uint64_t path;  // into `text`, NUL-terminated, relative to grove/
  std::int64_t mtime_ns;
};

std::int64_t mtime_of(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// A directory's descriptor, closed at the end.
class Folder {
 public:
  explicit Folder(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  ~Folder() {
    if (fd_ >= 0) ::close(fd_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  /// 0 when there is no such file.
  std::int64_t mtime(const char* relative) const {
    struct stat status{};
    return ::fstatat(fd_, relative, &status, 0) == 0 ? mtime_of(status) : 0;
  }

 private:
  int fd_;
};

// Field weights of BM25F. A title says what a leaf is; a summary mentions much.
constexpr float kTitle = 8;
constexpr float kPhrase = 12;
constexpr float kId = 5;
constexpr float kKeyword = 5;
constexpr float kMapsTo = 4;
constexpr float kLibrary = 3;
constexpr float kBranch = 1.5;
constexpr float kSummary = 1;
constexpr float kSaturation = 1.2F;       // k1
constexpr float kUsualSummary = 60;       // words; longer summaries count less
constexpr float kLengthInfluence = 0.5F;  // b

/// Finds by string_view, so that a known term costs no allocation.
struct TermHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view term) const noexcept { return std::hash<std::string_view>{}(term); }
};

/// The terms of one part of the map, gathered by one thread.
struct Gathered {
  std::unordered_map<std::string, std::uint32_t, TermHash, std::equal_to<>> vocabulary;
  struct Occurrence {
    std::uint32_t term;
    float weight;
  };
  std::vector<Occurrence> occurrences;          // of all leaves of this part, leaf by leaf
  std::vector<std::uint32_t> occurrences_ends;  // where each leaf's end
  std::string text;                             // kEntryFields for each leaf, run together
  std::vector<std::uint32_t> field_ends;
  std::string problems;

  std::uint32_t id_of(std::string_view term) {
    const auto known = vocabulary.find(term);
    if (known != vocabulary.end()) return known->second;
    return vocabulary.emplace(term, static_cast<std::uint32_t>(vocabulary.size())).first->second;
  }
};

class Gatherer {
 public:
  Gatherer(Gathered& into, const std::vector<Tree>& trees) : into_(into), trees_(trees) {}

  void add(const Leaf& leaf) {
    found_.clear();
    text(leaf.title.en, kTitle);
    text(leaf.title.zh, kTitle);
    text(leaf.id, kId);
    text(leaf.maps_to, kMapsTo);
    text(leaf.library, kLibrary);
    for (const Peer& peer : leaf.peers) text(peer.name, kLibrary);
    for (const auto* keywords : {&leaf.keywords_en, &leaf.keywords_zh})
      for (const std::string& keyword : *keywords) {
        text(keyword, kKeyword);
        phrase(keyword, kPhrase / 2);
      }
    phrase(leaf.title.en, kPhrase);
    phrase(leaf.title.zh, kPhrase);
    phrase(leaf.id, kPhrase);
    phrase(std::string_view(leaf.id).substr(leaf.id.rfind('/') + 1), kPhrase);
    // "governor / tower-limit" names two crates.
    for (std::size_t at = 0; at < leaf.maps_to.size();) {
      std::size_t end = leaf.maps_to.find_first_of("/+;,()", at);
      if (end == std::string::npos) end = leaf.maps_to.size();
      phrase(std::string_view(leaf.maps_to).substr(at, end - at), kPhrase * 3 / 4);
      at = end + 1;
    }
    summary(leaf.summary.en);
    summary(leaf.summary.zh);
    for (const Tree& tree : trees_) {
      if (!leaf.id.starts_with(tree.id + "/")) continue;
      text(tree.title.en, kBranch);
      text(tree.title.zh, kBranch);
      for (const Branch& branch : tree.branches)
        if (leaf.id.size() > branch.path.size() && leaf.id[branch.path.size()] == '/' &&
            leaf.id.starts_with(branch.path)) {
          text(branch.title.en, kBranch);
          text(branch.title.zh, kBranch);
        }
    }
    // One occurrence for each term, its weights added up.
    std::sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) { return a.term < b.term; });
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (i > 0 && found_[i].term == found_[i - 1].term)
        into_.occurrences.back().weight += found_[i].weight;
      else
        into_.occurrences.push_back(found_[i]);
    }
    into_.occurrences_ends.push_back(static_cast<std::uint32_t>(into_.occurrences.size()));
    into_.text += leaf.built ? '+' : '-';
    for (const std::string* field : {&leaf.id, &leaf.kind, &leaf.maturity, &leaf.library, &leaf.title.en,
                                     &leaf.title.zh, &leaf.summary.en, &leaf.summary.zh}) {
      into_.text += *field;
      into_.field_ends.push_back(static_cast<std::uint32_t>(into_.text.size()));
    }
  }

 private:
  void text(std::string_view words, float weight) {
    tokenizer_.each(words, [&](std::string_view term) { found_.push_back({into_.id_of(term), weight}); });
  }
  void summary(std::string_view words) {
    const std::size_t from = found_.size();
    text(words, kSummary);
    const auto count = static_cast<float>(found_.size() - from);
    for (std::size_t i = from; i < found_.size(); ++i)
      found_[i].weight /= 1 - kLengthInfluence + kLengthInfluence * count / kUsualSummary;
  }
  void phrase(std::string_view words, float weight) {
    const std::string term = phrase_term(words);
    if (term.size() > 1) found_.push_back({into_.id_of(term), weight});
  }

  Gathered& into_;
  const std::vector<Tree>& trees_;
  Tokenizer tokenizer_;
  std::vector<Gathered::Occurrence> found_;
};

/// Grows the file's bytes; sections are aligned to 8.
class Sections {
 public:
  template <class T>
  std::uint64_t put(const std::vector<T>& items) {
    bytes.resize((bytes.size() + 7) / 8 * 8);
    const std::uint64_t at = bytes.size();
    const auto* raw = reinterpret_cast<const char*>(items.data());
    bytes.append(raw, items.size() * sizeof(T));
    return at;
  }
  std::string bytes;
};

std::vector<std::string> folders_of(const std::vector<std::string>& ids) {
  std::vector<std::string> folders{"."};
  for (const std::string& id : ids)
    for (std::size_t slash = id.find('/'); slash != std::string::npos; slash = id.find('/', slash + 1))
      if (const std::string folder = id.substr(0, slash); folder != folders.back()) folders.push_back(folder);
  std::sort(folders.begin(), folders.end());
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  return folders;
}

bool within_one_or_two(std::string_view a, std::string_view b, std::size_t most) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > most) return false;
  std::array<std::uint8_t, 65> row{};
  if (b.size() >= row.size()) return false;
  for (std::size_t j = 0; j <= b.size(); ++j) row.at(j) = static_cast<std::uint8_t>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::uint8_t diagonal = row[0];
    row[0] = static_cast<std::uint8_t>(i);
    std::uint8_t best = row[0];
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto cost = static_cast<std::uint8_t>(diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
      diagonal = row.at(j);
      row.at(j) =
          std::min({cost, static_cast<std::uint8_t>(row.at(j) + 1), static_cast<std::uint8_t>(row.at(j - 1) + 1)});
      best = std::min(best, row.at(j));
    }
    if (best > most) return false;
  }
  return row.at(b.size()) <= most;
}

}  // namespace

std::filesystem::path index_path(const std::filesystem::path& root) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path folder = cache != nullptr && *cache == '/' ? std::filesystem::path(cache)
                                 : home != nullptr                 ? std::filesystem::path(home) / ".cache"
                                                                   : std::filesystem::path("/tmp");
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : std::filesystem::absolute(root).lexically_normal().string())
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::array<char, 24> name{};
  std::snprintf(name.data(), name.size(), "%016llx.index", static_cast<unsigned long long>(hash));
  return folder / "grove" / name.data();
}

Result<Index> Index::build(const std::filesystem::path& root) {
  GROVE_TRY(const std::vector<std::string> ids, list_leaves(root));
  const Folder grove(root / "grove");
  // Times are taken before the files are read: a change meanwhile is seen next time.
  std::vector<std::string> watched_paths = folders_of(ids);
  const std::size_t trees_from = watched_paths.size();
  std::vector<Tree> trees;
  for (const std::string& folder : std::vector<std::string>(watched_paths))
    if (folder != "." && folder.find('/') == std::string::npos) watched_paths.push_back(folder + "/tree.toml");
  if (ids.size() <= kWatchLeavesUpTo)
    for (const std::string& id : ids) {
      watched_paths.push_back(id);
      watched_paths.push_back(id + "/leaf.toml");
    }
  std::vector<std::int64_t> times;
  times.reserve(watched_paths.size());
  for (const std::string& path : watched_paths) times.push_back(grove.mtime(path.c_str()));
  for (std::size_t i = trees_from; i < watched_paths.size() && watched_paths[i].ends_with("/tree.toml"); ++i) {
    GROVE_TRY(Tree tree, load_tree(root, watched_paths[i].substr(0, watched_paths[i].find('/'))));
    trees.push_back(std::move(tree));
  }
  std::sort(trees.begin(), trees.end(), [](const Tree& a, const Tree& b) { return a.order < b.order; });
  std::vector<std::string> ordered;
  ordered.reserve(ids.size());
  for (const Tree& tree : trees)
    std::copy_if(ids.begin(), ids.end(), std::back_inserter(ordered),
                 [&](const std::string& id) { return id.starts_with(tree.id + "/"); });
  if (ordered.size() != ids.size()) {
    for (const std::string& id : ids)
      if (std::none_of(trees.begin(), trees.end(), [&](const Tree& t) { return id.starts_with(t.id + "/"); }))
        return fail(Errc::parse,
                    "grove/" + id + "/leaf.toml:1:1: the tree " + id.substr(0, id.find('/')) + " has no tree.toml");
  }

  // Two halves side by side once that pays for the thread.
  const std::size_t threads = ordered.size() > 64 ? 2 : 1;
  std::vector<Gathered> parts(threads);
  const auto gather = [&](std::size_t part) {
    Gathered& into = parts[part];
    Gatherer gatherer(into, trees);
    const std::size_t from = ordered.size() * part / threads;
    const std::size_t to = ordered.size() * (part + 1) / threads;
    for (std::size_t i = from; i < to; ++i) {
      const Result<Leaf> leaf = load_leaf(root, ordered[i]);
      if (leaf)
        gatherer.add(*leaf);
      else
        (into.problems += into.problems.empty() ? "" : "\n") += leaf.error().message();
    }
  };
  std::thread other;
  if (threads == 2) other = std::thread(gather, 1);
  gather(0);
  if (other.joinable()) other.join();
  for (std::size_t i = 1; i < threads; ++i)
    if (!parts[i].problems.empty()) (parts[0].problems += parts[0].problems.empty() ? "" : "\n") += parts[i].problems;
  if (!parts[0].problems.empty()) return fail(Errc::parse, parts[0].problems);

  // One sorted vocabulary; `rank[part][id]` is a part's term in it.
  std::vector<std::string_view> terms;
  for (const Gathered& part : parts)
    for (const auto& [term, id] : part.vocabulary) terms.push_back(term);
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  std::vector<std::vector<std::uint32_t>> rank(threads);
  std::vector<std::uint64_t> posting_offsets(terms.size() + 1);
  for (std::size_t p = 0; p < threads; ++p) {
    rank[p].resize(parts[p].vocabulary.size());
    for (const auto& [term, id] : parts[p].vocabulary)
      rank[p][id] = static_cast<std::uint32_t>(std::lower_bound(terms.begin(), terms.end(), std::string_view(term)) -
                                               terms.begin());
    for (const auto& o : parts[p].occurrences) ++posting_offsets[rank[p][o.term] + 1];
  }
  for (std::size_t i = 1; i < posting_offsets.size(); ++i) posting_offsets[i] += posting_offsets[i - 1];
  std::vector<Posting> postings(posting_offsets.back());
  std::vector<std::uint64_t> next(posting_offsets.begin(), posting_offsets.end() - 1);
  const auto total = static_cast<float>(ordered.size());
  std::uint32_t entry = 0;
  for (std::size_t p = 0; p < threads; ++p) {
    std::size_t at = 0;
    for (const std::uint32_t end : parts[p].occurrences_ends) {
      for (; at < end; ++at) {
        const auto& o = parts[p].occurrences[at];
        const std::uint32_t term = rank[p][o.term];
        const auto holders = static_cast<float>(posting_offsets[term + 1] - posting_offsets[term]);
        const float rarity = std::log(1 + (total - holders + 0.5F) / (holders + 0.5F));
        postings[next[term]++] = {entry, rarity * o.weight / (kSaturation + o.weight)};
      }
      ++entry;
    }
    std::vector<Gathered::Occurrence>().swap(parts[p].occurrences);
  }

  Sections file;
  file.bytes.resize(sizeof(Header));
  std::string text;
  std::vector<std::uint32_t> entry_offsets{0};
  for (const Gathered& part : parts) {
    for (const std::uint32_t end : part.field_ends)
      entry_offsets.push_back(static_cast<std::uint32_t>(text.size()) + end);
    text += part.text;
  }
  std::vector<std::uint32_t> id_order(ordered.size());
  for (std::size_t i = 0; i < id_order.size(); ++i) id_order[i] = static_cast<std::uint32_t>(i);
  std::sort(id_order.begin(), id_order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return ordered[a] < ordered[b]; });
  std::vector<std::uint32_t> term_offsets;
  for (const std::string_view term : terms) {
    term_offsets.push_back(static_cast<std::uint32_t>(text.size()));
    text += term;
  }
  term_offsets.push_back(static_cast<std::uint32_t>(text.size()));
  std::vector<Watch> watch;
  for (std::size_t i = 0; i < watched_paths.size(); ++i) {
    watch.push_back({text.size(), times[i]});
    text.append(watched_paths[i]).push_back('\0');
  }
  if (text.size() > UINT32_MAX) return fail(Errc::limit, "the map's text is larger than 4 GiB");

  Header header{};
  header.magic = kMagic;
  header.entries = static_cast<std::uint32_t>(ordered.size());
  header.terms = static_cast<std::uint32_t>(terms.size());
  header.watched = static_cast<std::uint32_t>(watch.size());
  header.entry_offsets = file.put(entry_offsets);
  header.id_order = file.put(id_order);
  header.term_offsets = file.put(term_offsets);
  header.posting_offsets = file.put(posting_offsets);
  header.postings = file.put(postings);
  header.watch = file.put(watch);
  header.text = file.bytes.size();
  file.bytes += text;
  header.file_bytes = file.bytes.size();
  std::memcpy(file.bytes.data(), &header, sizeof header);

  const auto path = index_path(root);
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  // Another process may be writing the same index: each writes its own file first.
  const auto own = path.string() + "." + std::to_string(::getpid());
  Result<void> written = write_file(own, file.bytes);
  if (written && ::rename(own.c_str(), path.c_str()) != 0) written = fail_errno("write " + path.string());
  if (written) return map_file(root, path);
  // No place for a cache (read-only home): use it from memory this once.
  const int memory = ::memfd_create("grove-index", MFD_CLOEXEC);
  if (memory < 0) return std::unexpected(written.error());
  const std::string self = "/proc/self/fd/" + std::to_string(memory);
  for (std::size_t at = 0; at < file.bytes.size();) {
    const ssize_t n = ::write(memory, file.bytes.data() + at, file.bytes.size() - at);
    if (n <= 0) return fail_errno("keep the index in memory");
    at += static_cast<std::size_t>(n);
  }
  Result<Index> mapped = map_file(root, self);
  ::close(memory);
  return mapped;
}

Result<Index> Index::map_file(const std::filesystem::path& root, const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open " + file.string());
  struct stat status{};
  const bool sized = ::fstat(fd, &status) == 0 && static_cast<std::size_t>(status.st_size) >= sizeof(Header);
  void* data =
      sized ? ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  ::close(fd);
  if (data == MAP_FAILED) return fail(Errc::corrupt, "the index " + file.string() + " is no index");
  Index index;
  index.root_ = root;
  index.data_ = static_cast<const std::byte*>(data);
  index.bytes_ = static_cast<std::size_t>(status.st_size);
  Header header;
  std::memcpy(&header, data, sizeof header);
  // It is our own cache, written whole and renamed; the size is what a torn disk would break.
  if (header.magic != kMagic || header.file_bytes != index.bytes_)
    return fail(Errc::corrupt, "the index " + file.string() + " is of another version or cut short");
  index.entries_ = header.entries;
  index.terms_ = header.terms;
  return index;
}

Result<Index> Index::open(const std::filesystem::path& root) {
  Result<Index> cached = map_file(root, index_path(root));
  if (cached && cached->check_watched()) return cached;
  return build(root);
}

Index::Index(Index&& other) noexcept { *this = std::move(other); }
Index& Index::operator=(Index&& other) noexcept {
  std::swap(root_, other.root_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(entries_, other.entries_);
  std::swap(terms_, other.terms_);
  return *this;
}
Index::~Index() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), bytes_);
}

namespace {
const Header& header_of(const std::byte* data) { return *reinterpret_cast<const Header*>(data); }
template <class T>
const T* section(const std::byte* data, std::uint64_t offset) {
  return reinterpret_cast<const T*>(data + offset);
}
std::string_view text_at(const std::byte* data, const std::uint32_t* offsets, std::size_t i) {
  return {section<char>(data, header_of(data).text) + offsets[i], offsets[i + 1] - offsets[i]};
}
}  // namespace

bool Index::check_watched() const {
  const Header& header = header_of(data_);
  const Folder grove(root_ / "grove");
  const auto* watch = section<Watch>(data_, header.watch);
  const char* text = section<char>(data_, header.text);
  return std::all_of(watch, watch + header.watched,
                     [&](const Watch& w) { return grove.mtime(text + w.path) == w.mtime_ns; });
}

Entry Index::entry(std::size_t i) const {
  const auto* offsets = section<std::uint32_t>(data_, header_of(data_).entry_offsets);
  std::array<std::string_view, kEntryFields> f;
  for (std::size_t k = 0; k < kEntryFields; ++k) f.at(k) = text_at(data_, offsets, i * kEntryFields + k);
  return {f[0].substr(1), f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[0].front() == '+'};
}

std::size_t Index::find(std::string_view id) const {
  const auto* order = section<std::uint32_t>(data_, header_of(data_).id_order);
  const auto* found = std::lower_bound(order, order + entries_, id,
                                       [&](std::uint32_t i, std::string_view wanted) { return entry(i).id < wanted; });
  return found != order + entries_ && entry(*found).id == id ? *found : entries_;
}

std::string_view Index::term(std::size_t i) const {
  return text_at(data_, section<std::uint32_t>(data_, header_of(data_).term_offsets), i);
}

std::size_t Index::lower_bound(std::string_view wanted) const {
  std::size_t from = 0;
  std::size_t to = terms_;
  while (from < to) {
    const std::size_t middle = from + (to - from) / 2;
    if (term(middle) < wanted)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

std::vector<Hit> Index::search(std::string_view words, std::size_t limit) const {
  const Header& header = header_of(data_);
  const auto* offsets = section<std::uint64_t>(data_, header.posting_offsets);
  const auto* postings = section<Posting>(data_, header.postings);

  // A query word stands for one or several terms, each with a factor.
  struct Wanted {
    std::vector<std::pair<std::size_t, float>> terms;
  };
  std::vector<Wanted> wanted;
  std::vector<std::string> seen;
  Tokenizer tokenizer;
  tokenizer.each(words, [&](std::string_view word) {
    if (std::find(seen.begin(), seen.end(), word) != seen.end() || seen.size() >= 32) return;
    seen.emplace_back(word);
    Wanted& w = wanted.emplace_back();
    const std::size_t at = lower_bound(word);
    if (at < terms_ && term(at) == word) {
      w.terms.emplace_back(at, 1.0F);
      return;
    }
    if (word.size() >= 3)
      for (std::size_t i = at; i < terms_ && i < at + 64 && term(i).starts_with(word); ++i)
        w.terms.emplace_back(i, 0.6F);
    if (!w.terms.empty() || word.size() < 4) return;
    const std::size_t most = word.size() < 8 ? 1 : 2;
    for (std::size_t i = 0; i < terms_ && w.terms.size() < 64; ++i)
      if (term(i).front() != '=' && within_one_or_two(word, term(i), most)) w.terms.emplace_back(i, 0.4F);
  });
  if (wanted.empty()) return {};

  std::vector<float> scores(entries_, 0);
  std::vector<std::uint8_t> matched(entries_, 0);
  std::vector<std::uint8_t> last(entries_, 0);
  for (std::size_t w = 0; w < wanted.size(); ++w)
    for (const auto& [i, factor] : wanted[w].terms)
      for (std::uint64_t p = offsets[i]; p < offsets[i + 1]; ++p) {
        const Posting& posting = postings[p];
        scores[posting.entry] += factor * posting.impact;
        if (last[posting.entry] != w + 1) {
          last[posting.entry] = static_cast<std::uint8_t>(w + 1);
          ++matched[posting.entry];
        }
      }
  // The whole query as a name outweighs its words.
  const std::string phrase = phrase_term(words);
  if (const std::size_t i = lower_bound(phrase); i < terms_ && term(i) == phrase)
    for (std::uint64_t p = offsets[i]; p < offsets[i + 1]; ++p) scores[postings[p].entry] += 3 * postings[p].impact;

  std::vector<Hit> hits;
  for (std::size_t i = 0; i < entries_; ++i) {
    if (matched[i] == 0) continue;
    const float share = static_cast<float>(matched[i]) / static_cast<float>(wanted.size());
    hits.push_back({static_cast<std::uint32_t>(i), scores[i] * share * share});
  }
  const auto better = [](const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.entry < b.entry;
  };
  const std::size_t keep = std::min(limit, hits.size());
  std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(keep), hits.end(), better);
  hits.resize(keep);
  return hits;
}

bool Index::is_fresh(std::span<const Hit> hits) const {
  if (entries_ <= kWatchLeavesUpTo) return true;  // every leaf was checked on opening
  struct stat status{};
  const auto path = index_path(root_);
  if (::stat(path.c_str(), &status) != 0) return true;
  const std::int64_t made = mtime_of(status);
  const Folder grove(root_ / "grove");
  return std::all_of(hits.begin(), hits.end(), [&](const Hit& hit) {
    const std::int64_t changed = grove.mtime((std::string(entry(hit.entry).id) + "/leaf.toml").c_str());
    return changed != 0 && changed <= made;
  });
}

}  // namespace grove::tool
