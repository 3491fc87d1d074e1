#include "grove/ml/data/arrays/npy.hpp"

#include <zlib.h>

#include <bit>

#include "grove/base/bytes.hpp"

namespace grove::arrays {
namespace {

static_assert(std::endian::native == std::endian::little);

using Bytes = std::span<const std::byte>;

constexpr struct {
  const char* name;
  const char* code;
  std::size_t size;
} kTypes[] = {{"bool", "b1", 1},   {"int8", "i1", 1},    {"int16", "i2", 2},  {"int32", "i4", 4},
              {"int64", "i8", 8},  {"uint8", "u1", 1},   {"uint16", "u2", 2}, {"uint32", "u4", 4},
              {"uint64", "u8", 8}, {"float32", "f4", 4}, {"float64", "f8", 8}};

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::unexpected<Error> refuse(std::string why) { return fail(Errc::parse, "npy: " + std::move(why)); }
std::unexpected<Error> cut() { return fail(Errc::truncated, "npy: the file ends too early"); }

struct Header {
  Type type{};
  bool swapped = false, column_major = false;
  Shape shape;
};

/// The dictionary that NumPy writes, in any order and spacing.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Result<Header> parse() {
    Header header;
    unsigned seen = 0;
    if (!take('{')) return refuse("the header is not a dictionary");
    while (!take('}')) {
      GROVE_TRY(const std::string_view key, quoted());
      if (!take(':')) return refuse("the header lacks a colon");
      const unsigned bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (bit == 0 || (seen & bit)) return refuse("the header has an unknown key, or one twice");
      seen |= bit;
      if (bit == 1) {
        GROVE_CHECK(type(header));
      } else if (bit == 2) {
        header.column_major = word("True");
        if (!header.column_major && !word("False")) return refuse("fortran_order is no truth value");
      } else {
        GROVE_CHECK(shape(header.shape));
      }
      if (!take(',') && !ahead('}')) return refuse("the header lacks a comma");
    }
    skip();
    if (at_ != text_.size()) return refuse("something follows the header's dictionary");
    if (seen != 7) return refuse("the header lacks descr, fortran_order or shape");
    return header;
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool ahead(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) {
    if (!ahead(c)) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w) {
    skip();
    if (text_.substr(at_, w.size()) != w) return false;
    at_ += w.size();
    return true;
  }
  Result<std::string_view> quoted() {
    skip();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return refuse("the header lacks a string");
    const auto end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return refuse("a string in the header doesn't end");
    const auto inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }
  Result<void> type(Header& header) {
    if (ahead('[')) return fail(Errc::unsupported, "npy: arrays of records are not read");
    GROVE_TRY(const std::string_view code, quoted());
    if (code.size() < 3) return refuse("descr is no type");
    for (std::size_t i = 0; i < std::size(kTypes); ++i)
      if (code.substr(1) == kTypes[i].code) {
        const bool single = kTypes[i].size == 1;
        if (code[0] != '<' && code[0] != '>' && code[0] != '=' && !(code[0] == '|' && single))
          return refuse("descr has no byte order");
        header.swapped = code[0] == '>' && !single;
        header.type = static_cast<Type>(i);
        return {};
      }
    return fail(Errc::unsupported, "npy: arrays of type " + std::string(code.substr(0, 32)) + " are not read");
  }
  Result<void> shape(Shape& shape) {
    if (!take('(')) return refuse("shape is no tuple");
    bool comma = true;
    while (!take(')')) {
      if (!comma) return refuse("shape lacks a comma");
      skip();
      Index extent = 0;
      const std::size_t start = at_;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
        if (__builtin_mul_overflow(extent, 10, &extent) || __builtin_add_overflow(extent, text_[at_] - '0', &extent))
          return fail(Errc::limit, "npy: an extent exceeds the address space");
      if (at_ == start) return refuse("an extent is no number");
      if (shape.rank() == kMaxRank) return fail(Errc::unsupported, "npy: more than 8 dimensions");
      shape.push(extent);
      comma = take(',');
    }
    if (shape.rank() == 1 && !comma) return refuse("shape is no tuple");
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void swap_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); i += size)
    std::reverse(bytes.begin() + static_cast<Index>(i), bytes.begin() + static_cast<Index>(i + size));
}

void put(std::vector<std::byte>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}
void put(std::vector<std::byte>& out, Bytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

std::uint32_t crc_of(Bytes bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kLocator64 = 0x07064b50;
constexpr std::uint64_t kOld = 0xffffffff;

/// Raw deflate of a size that is known beforehand. No more than that is written.
Result<void> inflate_into(Bytes packed, std::span<std::byte> out) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return fail(Errc::no_space, "npz: no memory to inflate");
  std::size_t read = 0, written = 0;
  int status = Z_OK;
  std::byte beyond{};
  while (status == Z_OK) {
    constexpr std::size_t kMost = std::size_t{1} << 30;
    const std::size_t in = std::min(kMost, packed.size() - read), room = std::min(kMost, out.size() - written);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + read));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(room > 0 ? out.data() + written : &beyond);
    stream.avail_out = static_cast<uInt>(room > 0 ? room : 1);  // the end mark may still follow the last byte
    status = inflate(&stream, Z_NO_FLUSH);
    read += in - stream.avail_in;
    if (room == 0 && stream.avail_out == 0) status = Z_DATA_ERROR;
    if (room > 0) written += room - stream.avail_out;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || written != out.size() || read != packed.size())
    return fail(Errc::corrupt, "npz: an entry's deflated data is damaged");
  return {};
}

}  // namespace

std::size_t type_size(Type type) noexcept { return kTypes[static_cast<std::size_t>(type)].size; }
const char* type_name(Type type) noexcept { return kTypes[static_cast<std::size_t>(type)].name; }

Result<AnyArray> AnyArray::make(Type type, const Shape& shape, bool column_major) {
  GROVE_TRY(const Index size, checked_size(shape, type_size(type)));
  AnyArray made;
  made.type_ = type;
  made.bytes_ = ml::AlignedBuffer<std::byte>::make(static_cast<std::size_t>(size) * type_size(type));
  if (!made.bytes_) return fail(Errc::no_space, "no memory for an array of shape " + to_string(shape));
  std::array<int, kMaxRank> order{};
  Shape stored;
  for (int i = 0; i < shape.rank(); ++i) {
    order[static_cast<std::size_t>(i)] = shape.rank() - 1 - i;
    stored.push(shape[column_major ? shape.rank() - 1 - i : i]);
  }
  made.layout_ = Layout::row_major(stored);
  if (column_major) made.layout_ = made.layout_.transpose({order.data(), static_cast<std::size_t>(shape.rank())});
  return made;
}

Result<AnyArray> read_npy(Bytes file, const NpyLimits& limits) {
  ByteReader in(file);
  const auto magic = in.bytes(6);
  const auto major = in.u8(), minor = in.u8();
  if (magic && text_of(*magic) != "\x93NUMPY") return refuse("this is no .npy file");
  if (!magic || !minor) return cut();
  if (*major < 1 || *major > 3 || *minor != 0)
    return fail(Errc::unsupported, "npy: format version " + std::to_string(*major) + "." + std::to_string(*minor));
  std::size_t length = 0;
  if (*major == 1) {
    const auto read = in.u16le();
    if (!read) return cut();
    length = *read;
  } else {
    const auto read = in.u32le();
    if (!read) return cut();
    length = *read;
  }
  if (length > limits.header) return fail(Errc::limit, "npy: the header is too long");
  const auto text = in.bytes(length);
  if (!text) return cut();
  GROVE_TRY(const Header header, HeaderParser(text_of(*text)).parse());
  GROVE_TRY(const Index count, checked_size(header.shape, type_size(header.type)));
  const std::size_t size = static_cast<std::size_t>(count) * type_size(header.type);
  if (size > limits.bytes) return fail(Errc::limit, "npy: the array is larger than allowed");
  const auto elements = in.bytes(size);
  if (!elements) return cut();
  if (!in.empty()) return refuse("something follows the elements");
  GROVE_TRY(auto made, AnyArray::make(header.type, header.shape, header.column_major));
  if (size > 0) std::memcpy(made.bytes().data(), elements->data(), size);
  if (header.type == Type::boolean)  // any other value in a bool is undefined
    for (std::byte& each : made.bytes()) each = static_cast<std::byte>(each != std::byte{0});
  if (header.swapped) swap_bytes(made.bytes(), type_size(header.type));
  return made;
}

Result<std::vector<std::byte>> detail::npy_file(Type type, const Shape& shape, Bytes elements) {
  const auto& known = kTypes[static_cast<std::size_t>(type)];
  std::string header = std::string("{'descr': '") + (known.size == 1 ? '|' : '<') + known.code +
                       "', 'fortran_order': False, 'shape': " + to_string(shape) + ", }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::vector<std::byte> out;
  out.reserve(10 + header.size() + elements.size());
  put(out, bytes_of("\x93NUMPY"));
  put(out, 1, 2);
  put(out, header.size(), 2);
  put(out, bytes_of(header));
  put(out, elements);
  return out;
}

Result<std::map<std::string, AnyArray>> read_npz(Bytes file, const NpyLimits& limits) {
  const auto broken = [](const char* why) { return fail(Errc::corrupt, std::string("npz: ") + why); };
  constexpr std::size_t kEndSize = 22;
  if (file.size() < kEndSize) return fail(Errc::truncated, "npz: the file is shorter than an empty archive");
  std::size_t end = file.size() - kEndSize;  // a comment of up to 64 KiB may follow
  for (const std::size_t lowest = end > 65535 ? end - 65535 : 0;; --end) {
    ByteReader at(file.subspan(end));
    if (*at.u32le() == kEnd && (at.skip(16), *at.u16le() == file.size() - end - kEndSize)) break;
    if (end == lowest) return fail(Errc::truncated, "npz: the archive's directory is missing");
  }
  ByteReader tail(file.subspan(end + 4));
  const std::uint32_t disks = *tail.u32le();
  (void)tail.skip(2);
  std::uint64_t entries = *tail.u16le(), directory_size = *tail.u32le(), directory = *tail.u32le();
  if (disks != 0) return fail(Errc::unsupported, "npz: the archive is split");
  if (entries == 0xffff || directory_size == kOld || directory == kOld) {
    if (end < 20) return broken("the Zip64 directory is missing");
    ByteReader locator(file.subspan(end - 20, 20));
    if (*locator.u32le() != kLocator64) return broken("the Zip64 directory is missing");
    (void)locator.skip(4);
    const std::uint64_t at = *locator.u64le();
    if (at > end || end - at < 56) return broken("the Zip64 directory is outside the file");
    ByteReader large(file.subspan(at, 56));
    if (*large.u32le() != kEnd64) return broken("the Zip64 directory is damaged");
    (void)large.skip(28);
    entries = *large.u64le();
    directory_size = *large.u64le();
    directory = *large.u64le();
  }
  if (entries > limits.entries) return fail(Errc::limit, "npz: more entries than allowed");
  if (directory > end || directory_size > end - directory) return broken("the directory is outside the file");

  std::map<std::string, AnyArray> made;
  std::size_t budget = limits.bytes;
  ByteReader in(file.subspan(directory, directory_size));
  for (std::uint64_t i = 0; i < entries; ++i) {
    if (in.remaining() < 46 || *in.u32le() != kCentral) return broken("the directory is damaged");
    (void)in.skip(4);
    const std::uint16_t flags = *in.u16le(), method = *in.u16le();
    (void)in.skip(4);
    const std::uint32_t crc = *in.u32le();
    std::uint64_t packed = *in.u32le(), size = *in.u32le();
    const std::size_t name_size = *in.u16le(), extra_size = *in.u16le(), comment_size = *in.u16le();
    (void)in.skip(8);
    std::uint64_t local = *in.u32le();
    const auto name_bytes = in.bytes(name_size);
    const auto extra_bytes = in.bytes(extra_size);
    if (!name_bytes || !extra_bytes || !in.skip(comment_size)) return broken("the directory is damaged");
    for (ByteReader extra(*extra_bytes); extra.remaining() >= 4;) {
      const std::uint16_t id = *extra.u16le();
      const auto field = extra.bytes(*extra.u16le());
      if (!field) break;
      if (id != 1) continue;
      ByteReader wide(*field);
      for (std::uint64_t* value : {&size, &packed, &local})
        if (*value == kOld) {
          const auto read = wide.u64le();
          if (!read) return broken("a Zip64 field is damaged");
          *value = *read;
        }
    }
    std::string name(text_of(*name_bytes));
    if (flags & 1) return fail(Errc::unsupported, "npz: an entry is encrypted");
    if (!name.ends_with(".npy")) return fail(Errc::unsupported, "npz: an entry is no .npy file");
    name.resize(name.size() - 4);
    if (local > directory || directory - local < 30) return broken("an entry is outside the file");
    ByteReader entry(file.subspan(local, directory - local));
    if (*entry.u32le() != kLocal) return broken("an entry's header is damaged");
    (void)entry.skip(22);
    const std::size_t skipped = std::size_t{*entry.u16le()} + *entry.u16le();
    if (!entry.skip(skipped)) return broken("an entry is outside the file");
    const auto data = entry.bytes(packed);
    if (!data) return broken("an entry is outside the file");
    if (size > budget) return fail(Errc::limit, "npz: the arrays are larger than allowed");
    budget -= size;
    ml::AlignedBuffer<std::byte> unpacked;
    Bytes npy = *data;
    if (method == Z_DEFLATED) {
      // Deflate never gives more than 1,032 bytes for one.
      if (size / 1040 > packed) return broken("an entry claims more than it can hold");
      unpacked = ml::AlignedBuffer<std::byte>::make(size);
      if (!unpacked) return fail(Errc::no_space, "npz: no memory for an entry");
      GROVE_CHECK(inflate_into(*data, {unpacked.data(), size}));
      npy = {unpacked.data(), size};
    } else if (method != 0) {
      return fail(Errc::unsupported, "npz: an entry is neither stored nor deflated");
    }
    if (npy.size() != size) return broken("an entry has two sizes");
    if (crc_of(npy) != crc) return broken("an entry's checksum is wrong");
    auto array = read_npy(npy, limits);
    if (!array) return std::unexpected(std::move(array).error().with("entry " + name));
    if (!made.emplace(std::move(name), std::move(*array)).second) return broken("two entries have one name");
  }
  return made;
}

Result<void> NpzWriter::add_file(std::string_view name, Bytes npy) {
  const std::string entry = std::string(name) + ".npy";
  if (entry.size() > 65535) return fail(Errc::limit, "npz: the name is too long");
  for (const std::string& other : names_)
    if (other == name) return fail(Errc::already_exists, "npz: the archive holds " + other + " already");
  std::vector<std::byte> packed;
  if (method_ == Method::deflated) {
    z_stream stream{};
    if (npy.size() >= kOld ||
        deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      return fail(Errc::limit, "npz: the array cannot be deflated");
    packed.resize(deflateBound(&stream, npy.size()));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(npy.data()));
    stream.avail_in = static_cast<uInt>(npy.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(std::min<std::size_t>(packed.size(), kOld));
    const int status = deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    if (status != Z_STREAM_END) return fail(Errc::internal, "npz: deflate failed");
  } else {
    packed.assign(npy.begin(), npy.end());
  }
  const std::uint64_t local = out_.size();
  if (local + packed.size() + entry.size() + 64 >= kOld || npy.size() >= kOld || names_.size() >= 65534)
    return fail(Errc::limit, "npz: the archive exceeds 4 GiB or 65534 entries");
  const auto common = [&](std::vector<std::byte>& to) {
    put(to, 20, 2);
    put(to, 0, 2);
    put(to, method_ == Method::deflated ? Z_DEFLATED : 0, 2);
    put(to, 0x00210000, 4);  // 1980-01-01: one array, one file, byte for byte
    put(to, crc_of(npy), 4);
    put(to, packed.size(), 4);
    put(to, npy.size(), 4);
    put(to, entry.size(), 2);
    put(to, 0, 2);
  };
  put(out_, kLocal, 4);
  common(out_);
  put(out_, bytes_of(entry));
  put(out_, packed);
  put(directory_, kCentral, 4);
  put(directory_, 20, 2);
  common(directory_);
  put(directory_, 0, 8);
  put(directory_, 0, 2);
  put(directory_, local, 4);
  put(directory_, bytes_of(entry));
  names_.emplace_back(name);
  return {};
}

Result<std::vector<std::byte>> NpzWriter::finish() {
  const std::uint64_t directory = out_.size();
  if (directory + directory_.size() >= kOld) return fail(Errc::limit, "npz: the archive exceeds 4 GiB");
  put(out_, directory_);
  put(out_, kEnd, 4);
  put(out_, 0, 4);
  put(out_, names_.size(), 2);
  put(out_, names_.size(), 2);
  put(out_, directory_.size(), 4);
  put(out_, directory, 4);
  put(out_, 0, 2);
  directory_.clear();
  names_.clear();
  return std::exchange(out_, {});
}

}  // namespace grove::arrays
