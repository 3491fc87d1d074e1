// Files that somebody else wrote: no crash, no memory beyond the limits, and
// what is read, written and read again is the same.

#include <cstdlib>

#include "grove/ml/data/arrays/npy.hpp"

using namespace grove;
using namespace grove::arrays;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr NpyLimits kLimits{.bytes = 1 << 20, .header = 4096, .entries = 64};

std::span<const std::byte> elements(AnyArray& array) { return array.bytes(); }

void round_trip(const AnyArray& array) {
  const auto write = [&]<class T>(T) {
    if (type_of<T>() != array.type()) return;
    const auto file = write_npy(*array.as<T>());
    require(file.has_value());
    auto again = read_npy(*file, kLimits);
    require(again.has_value() && again->shape() == array.shape() && again->type() == array.type());
    const auto dense = eval(*array.as<T>());
    const auto ours = std::as_bytes(dense->numbers()), theirs = elements(*again);
    require(std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end()));
  };
  write(bool{}), write(std::int8_t{}), write(std::int16_t{}), write(std::int32_t{}), write(std::int64_t{});
  write(std::uint8_t{}), write(std::uint16_t{}), write(std::uint32_t{}), write(std::uint64_t{});
  write(float{}), write(double{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  if (const auto array = read_npy(file, kLimits)) round_trip(*array);
  if (const auto archive = read_npz(file, kLimits))
    for (const auto& [name, array] : *archive) round_trip(array);
  return 0;
}
