#include "grove/ml/data/arrays/loop.hpp"

#include <algorithm>
#include <cstring>

namespace grove::arrays::loop {
namespace {

template <class Word>
void gather_words(std::byte* to, const std::byte* from, Index stride, Index n) noexcept {
  if constexpr (sizeof(Word) == 4) {  // every other column of floats, by shuffles
    using Four [[gnu::vector_size(16)]] = Word;
    if (stride == 8)
      for (; n > 4; n -= 4, from += 32, to += 16) {  // the last one's neighbour may not be ours
        Four low, high;
        std::memcpy(&low, from, 16);
        std::memcpy(&high, from + 16, 16);
        const Four chosen = __builtin_shufflevector(low, high, 0, 2, 4, 6);
        std::memcpy(to, &chosen, 16);
      }
  }
  for (Index i = 0; i < n; ++i, from += stride, to += sizeof(Word)) std::memcpy(to, from, sizeof(Word));
}
template <class Word>
void scatter_words(std::byte* to, const std::byte* from, Index stride, Index n) noexcept {
  for (Index i = 0; i < n; ++i, from += sizeof(Word), to += stride) std::memcpy(to, from, sizeof(Word));
}

template <bool gathers>
void move_row(std::byte* to, const std::byte* from, Index stride, Index n, std::size_t item) noexcept {
  const auto move = [&]<class Word>(Word) {
    if constexpr (gathers) {
      gather_words<Word>(to, from, stride, n);
    } else {
      scatter_words<Word>(to, from, stride, n);
    }
  };
  switch (item) {
    case 1: return move(std::uint8_t{});
    case 2: return move(std::uint16_t{});
    case 4: return move(std::uint32_t{});
    default: return move(std::uint64_t{});
  }
}

}  // namespace

void Binder::add(const void* data, const Layout& layout, std::size_t item) noexcept {
  Operand& added = operand(count_++);
  added.data = static_cast<std::byte*>(const_cast<void*>(data));
  added.layout = &layout;
  added.item = item;
}

void Binder::result(void* data, const Layout& layout, std::size_t item) noexcept {
  const int last = count_;
  count_ = 0;
  add(data, layout, item);
  count_ = last;
  for (int o = 0; o < count_; ++o) {
    Operand& each = operand(o);
    const int extra = layout.shape.rank() - each.layout->shape.rank();
    each.strides = {};
    for (int i = 0; i < each.layout->shape.rank(); ++i)
      if (each.layout->shape[i] != 1 || o == 0)
        each.strides[static_cast<std::size_t>(i + extra)] = each.layout->stride(i) * static_cast<Index>(each.item);
  }
}

Result<Shape> Binder::shape() const {
  Shape joined;
  for (int o = 1; o < count_; ++o) {
    const Layout& layout = *operands_[static_cast<std::size_t>(o)].layout;
    if (layout.fault) return fail(Errc::invalid_argument, layout.fault);
    GROVE_TRY(joined, broadcast(joined, layout.shape));
  }
  return joined;
}

bool Binder::overlaps() const noexcept {
  const Shape& shape = operands_[0].layout->shape;
  const auto extent = [&](const Operand& each) {
    std::pair<const std::byte*, const std::byte*> bytes{each.data, each.data + each.item};
    for (int i = 0; i < shape.rank(); ++i) {
      const Index reach = each.strides[static_cast<std::size_t>(i)] * std::max<Index>(shape[i] - 1, 0);
      (reach < 0 ? bytes.first : bytes.second) += reach;
    }
    return bytes;
  };
  const auto out = extent(operands_[0]);
  for (int o = 1; o < count_; ++o) {
    const Operand& each = operands_[static_cast<std::size_t>(o)];
    bool same = each.data == operands_[0].data && each.item == operands_[0].item;
    for (int i = 0; i < shape.rank(); ++i)
      same &= shape[i] == 1 ||
              each.strides[static_cast<std::size_t>(i)] == operands_[0].strides[static_cast<std::size_t>(i)];
    if (same) continue;  // element by element, read before written
    const auto in = extent(each);
    if (in.first < out.second && out.first < in.second) return true;
  }
  return false;
}

/// The loop's axes, fewest and longest, the innermost last.
struct Binder::Walk {
  int rank = 0;
  std::array<Index, kMaxRank> extents{}, at{};
  Index inner = 1;
  std::array<Index, kMaxOperands> inner_strides{};

  bool next(Binder& binder) noexcept {
    for (int axis = rank - 2; axis >= 0; --axis) {
      const auto a = static_cast<std::size_t>(axis);
      const bool wraps = ++at[a] == extents[a];
      for (int o = 0; o < binder.count_; ++o) {
        Operand& each = binder.operand(o);
        each.data += wraps ? -each.strides[a] * (extents[a] - 1) : each.strides[a];
      }
      if (!wraps) return true;
      at[a] = 0;
    }
    return false;
  }
};

Binder::Walk Binder::walk(const Shape& shape, int order_by) {
  struct Axis {
    Index extent;
    std::array<Index, kMaxOperands> strides;
  };
  std::array<Axis, kMaxRank> axes{};
  int rank = 0;
  const auto key = static_cast<std::size_t>(order_by);
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    Axis axis{shape[i], {}};
    for (int o = 0; o < count_; ++o)
      axis.strides[static_cast<std::size_t>(o)] = operand(o).strides[static_cast<std::size_t>(i)];
    if (axis.strides[key] < 0)  // forwards through memory
      for (int o = 0; o < count_; ++o) {
        Index& stride = axis.strides[static_cast<std::size_t>(o)];
        operand(o).data += stride * (axis.extent - 1);
        stride = -stride;
      }
    int place = rank++;
    for (; place > 0 && axes[static_cast<std::size_t>(place - 1)].strides[key] < axis.strides[key]; --place)
      axes[static_cast<std::size_t>(place)] = axes[static_cast<std::size_t>(place - 1)];
    axes[static_cast<std::size_t>(place)] = axis;
  }
  int kept = 0;
  for (int i = 0; i < rank; ++i) {
    const Axis& axis = axes[static_cast<std::size_t>(i)];
    if (kept > 0) {
      Axis& outer = axes[static_cast<std::size_t>(kept - 1)];
      bool joins = true;
      for (int o = 0; o < count_; ++o)
        joins &= outer.strides[static_cast<std::size_t>(o)] == axis.strides[static_cast<std::size_t>(o)] * axis.extent;
      if (joins) {
        outer.extent *= axis.extent;
        outer.strides = axis.strides;
        continue;
      }
    }
    axes[static_cast<std::size_t>(kept++)] = axis;
  }
  Walk made;
  made.rank = kept;
  for (int o = 0; o < count_; ++o)
    made.inner_strides[static_cast<std::size_t>(o)] = static_cast<Index>(operand(o).item);
  for (int i = 0; i < kept; ++i) {
    const Axis& axis = axes[static_cast<std::size_t>(i)];
    made.extents[static_cast<std::size_t>(i)] = axis.extent;
    for (int o = 0; o < count_; ++o)
      operand(o).strides[static_cast<std::size_t>(i)] = axis.strides[static_cast<std::size_t>(o)];
  }
  if (kept > 0) {
    made.inner = made.extents[static_cast<std::size_t>(kept - 1)];
    made.inner_strides = axes[static_cast<std::size_t>(kept - 1)].strides;
  }
  return made;
}

namespace {
/// A row of each strided operand, gathered.
struct Scratch {
  alignas(64) std::byte rows[kMaxOperands][kChunk * 8];
};
}  // namespace

void assign(Binder& binder, const Shape& shape, RowKernel kernel, const void* expression) {
  if (shape.size() == 0) return;
  auto walk = binder.walk(shape, 0);
  const int count = binder.count_;
  const auto item = [&](int o) { return static_cast<Index>(binder.operand(o).item); };
  const auto stride = [&](int o) { return walk.inner_strides[static_cast<std::size_t>(o)]; };
  bool direct = true;
  for (int o = 0; o < count; ++o) direct &= stride(o) == item(o);
  std::array<const void*, kMaxOperands> in{};
  if (direct) {
    do {
      for (int o = 1; o < count; ++o) in[static_cast<std::size_t>(o - 1)] = binder.operand(o).data;
      kernel(expression, binder.operand(0).data, in.data(), walk.inner);
    } while (walk.next(binder));
    return;
  }
  Scratch scratch;
  do {
    for (Index start = 0; start < walk.inner; start += kChunk) {
      const Index n = std::min(kChunk, walk.inner - start);
      for (int o = 1; o < count; ++o) {
        const std::byte* from = binder.operand(o).data + start * stride(o);
        auto* const row = scratch.rows[o];
        const bool adjacent = stride(o) == item(o);
        if (!adjacent && (stride(o) != 0 || start == 0))
          move_row<true>(row, from, stride(o), n, binder.operand(o).item);
        in[static_cast<std::size_t>(o - 1)] = adjacent ? from : row;
      }
      std::byte* const to = binder.operand(0).data + start * stride(0);
      const bool adjacent = stride(0) == item(0);
      kernel(expression, adjacent ? to : scratch.rows[0], in.data(), n);
      if (!adjacent) move_row<false>(to, scratch.rows[0], stride(0), n, binder.operand(0).item);
    }
  } while (walk.next(binder));
}

void reduce(Binder& binder, const Shape& shape, RowKernel kernel, const void* expression, FoldKernel fold) {
  if (shape.size() == 0) return;
  auto walk = binder.walk(shape, binder.count_ > 1 ? 1 : 0);
  const int count = binder.count_;
  std::array<const void*, kMaxOperands> in{};
  Scratch scratch;
  const Index out_stride = walk.rank == 0 ? 0 : walk.inner_strides[0];
  const auto out_item = static_cast<Index>(binder.operand(0).item);
  do {
    for (Index start = 0; start < walk.inner; start += kChunk) {
      const Index n = std::min(kChunk, walk.inner - start);
      for (int o = 1; o < count; ++o) {
        const Index stride = walk.inner_strides[static_cast<std::size_t>(o)];
        const std::byte* from = binder.operand(o).data + start * stride;
        const bool adjacent = stride == static_cast<Index>(binder.operand(o).item);
        if (!adjacent && (stride != 0 || start == 0))
          move_row<true>(scratch.rows[o], from, stride, n, binder.operand(o).item);
        in[static_cast<std::size_t>(o - 1)] = adjacent ? from : scratch.rows[o];
      }
      const void* values = in[0];
      if (kernel) {
        kernel(expression, scratch.rows[0], in.data(), n);
        values = scratch.rows[0];
      }
      fold(binder.operand(0).data + start * out_stride, out_stride / out_item, values, n);
    }
  } while (walk.next(binder));
}

bool has_avx2() noexcept {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

}  // namespace grove::arrays::loop
