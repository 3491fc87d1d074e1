#include "grove/ml/data/arrays/layout.hpp"

#include <algorithm>

namespace grove::arrays {

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.rank(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.rank() == 1 ? ",)" : ")");
}

Result<Index> checked_size(const Shape& shape, std::size_t item) {
  // Zero extents don't hide the others' overflow: strides are made of them too.
  Index bytes = static_cast<Index>(item);
  bool empty = false;
  for (const Index extent : shape.extents()) {
    if (extent < 0) return fail(Errc::invalid_argument, "an array cannot have the shape " + to_string(shape));
    empty |= extent == 0;
    if (extent > 0 && __builtin_mul_overflow(bytes, extent, &bytes))
      return fail(Errc::limit, "the shape " + to_string(shape) + " exceeds the address space");
  }
  return empty ? 0 : bytes / static_cast<Index>(item);
}

bool Layout::contiguous() const noexcept {
  Index expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && stride(i) != expected) return false;
    expected *= shape[i];
  }
  return true;
}

Layout Layout::row_major(const Shape& shape) noexcept {
  Layout made{.shape = shape};
  Index step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    made.strides[static_cast<std::size_t>(i)] = step;
    step *= std::max<Index>(shape[i], 1);
  }
  return made;
}

Layout Layout::broken(const char* why) noexcept { return {.shape = {0}, .strides = {1}, .fault = why}; }

Layout Layout::slice(std::span<const Slice> slices, Index& offset) const noexcept {
  offset = 0;
  if (fault) return *this;
  int named = 0, ellipses = 0;
  for (const Slice& s : slices) {
    named += s.kind == Slice::Kind::index || s.kind == Slice::Kind::range;
    ellipses += s.kind == Slice::Kind::ellipsis;
  }
  if (ellipses > 1) return broken("a slice has two ellipses");
  if (named > shape.rank()) return broken("a slice has more indices than the array has dimensions");
  Layout made;
  int axis = 0;
  bool too_many = false;
  const auto push = [&](Index extent, Index step) {
    if (made.shape.rank() == kMaxRank) {
      too_many = true;
      return;
    }
    made.strides[static_cast<std::size_t>(made.shape.rank())] = step;
    made.shape.push(extent);
  };
  for (const Slice& s : slices) {
    switch (s.kind) {
      case Slice::Kind::newaxis: push(1, 0); break;
      case Slice::Kind::ellipsis:
        for (int rest = shape.rank() - named; rest > 0; --rest, ++axis) push(shape[axis], stride(axis));
        break;
      case Slice::Kind::index: {
        const Index n = shape[axis], at = s.range.from < 0 ? s.range.from + n : s.range.from;
        if (s.range.from < -n || at >= n) return broken("an index is outside the array");
        offset += at * stride(axis++);
        break;
      }
      case Slice::Kind::range: {
        const Index n = shape[axis], step = s.range.step;
        if (step == 0 || step == none) return broken("a range has the step 0");
        const Index lowest = step > 0 ? 0 : -1, highest = step > 0 ? n : n - 1;
        const auto clamp = [&](Index at, Index otherwise) {
          if (at == none) return otherwise;
          if (at < 0) at = at < -n ? -1 : at + n;
          return std::clamp(at, lowest, highest);
        };
        const Index from = clamp(s.range.from, step > 0 ? lowest : highest);
        const Index to = clamp(s.range.to, step > 0 ? highest : lowest);
        const Index distance = step > 0 ? to - from : from - to;
        const Index count = distance <= 0 ? 0 : (distance - 1) / (step > 0 ? step : -step) + 1;
        if (count > 0) offset += from * stride(axis);
        push(count, count > 1 ? step * stride(axis) : stride(axis));
        ++axis;
        break;
      }
    }
  }
  for (; axis < shape.rank(); ++axis) push(shape[axis], stride(axis));
  if (too_many) return broken("a slice makes more than 8 dimensions");
  for (const Index extent : made.shape.extents())
    if (extent == 0) offset = 0;  // nothing is there: don't leave the array
  return made;
}

Layout Layout::transpose(std::span<const int> order) const noexcept {
  if (fault) return *this;
  if (order.size() != static_cast<std::size_t>(shape.rank())) return broken("a transpose names every axis once");
  Layout made;
  unsigned seen = 0;
  for (const int named : order) {
    const int axis = normal_axis(named, shape.rank());
    if (axis < 0 || (seen >> axis & 1)) return broken("a transpose names every axis once");
    seen |= 1u << axis;
    made.strides[static_cast<std::size_t>(made.shape.rank())] = stride(axis);
    made.shape.push(shape[axis]);
  }
  return made;
}

Layout Layout::reshape(Shape wanted) const noexcept {
  if (fault) return *this;
  Index known = 1;
  int unknown = -1;
  for (int i = 0; i < wanted.rank(); ++i) {
    if (wanted[i] == -1) {
      if (unknown >= 0) return broken("a reshape leaves two extents open");
      unknown = i;
    } else if (wanted[i] < 0 || __builtin_mul_overflow(known, wanted[i], &known)) {
      return broken("a reshape has an impossible extent");
    }
  }
  const Index size = shape.size();
  if (unknown >= 0) {
    if (known == 0) return broken("a reshape's open extent could be anything");
    wanted[unknown] = size / known;
    known *= wanted[unknown];
  }
  if (known != size) return broken("a reshape changes the number of elements");
  Layout made = row_major(wanted);
  if (contiguous()) return made;
  // Each group of adjacent axes with one step serves a group of wanted axes.
  Layout old;
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != 1) {
      old.strides[static_cast<std::size_t>(old.shape.rank())] = stride(i);
      old.shape.push(shape[i]);
    }
  int from = 0, to = 0;
  while (from < old.shape.rank() && to < wanted.rank()) {
    int from_end = from + 1, to_end = to + 1;
    Index have = old.shape[from], want = wanted[to];
    while (have != want) {
      if (have < want) {
        have *= old.shape[from_end++];
      } else {
        want *= wanted[to_end++];
      }
    }
    for (int i = from; i + 1 < from_end; ++i)
      if (old.stride(i) != old.stride(i + 1) * old.shape[i + 1])
        return broken("a reshape of strided memory needs a copy: eval() it first");
    Index step = old.stride(from_end - 1);
    for (int i = to_end - 1; i >= to; --i) {
      made.strides[static_cast<std::size_t>(i)] = step;
      step *= wanted[i];
    }
    from = from_end;
    to = to_end;
  }
  return made;
}

Layout Layout::broadcast_to(const Shape& wanted) const noexcept {
  if (fault) return *this;
  const int extra = wanted.rank() - shape.rank();
  if (extra < 0) return broken("a broadcast drops dimensions");
  Layout made{.shape = wanted};
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != wanted[i + extra] && shape[i] != 1) return broken("a broadcast changes an extent that is not 1");
    made.strides[static_cast<std::size_t>(i + extra)] = shape[i] == 1 ? 0 : stride(i);
  }
  return made;
}

Layout Layout::diagonal(int first, int second) const noexcept {
  if (fault) return *this;
  first = normal_axis(first, shape.rank());
  second = normal_axis(second, shape.rank());
  if (first < 0 || second < 0 || first == second) return broken("a diagonal runs along two different axes");
  Layout made;
  for (int i = 0; i <= shape.rank(); ++i) {
    if (i == first || i == second) continue;
    const bool last = i == shape.rank();
    made.strides[static_cast<std::size_t>(made.shape.rank())] = last ? stride(first) + stride(second) : stride(i);
    made.shape.push(last ? std::min(shape[first], shape[second]) : shape[i]);
  }
  return made;
}

int normal_axis(int axis, int rank) noexcept {
  if (axis < 0) axis += rank;
  return axis >= 0 && axis < rank ? axis : -1;
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape joined = longer;
  for (int i = 0; i < shorter.rank(); ++i) {
    Index& extent = joined[i + longer.rank() - shorter.rank()];
    if (extent == shorter[i] || shorter[i] == 1) continue;
    if (extent != 1) return fail(Errc::invalid_argument, "cannot broadcast " + to_string(a) + " with " + to_string(b));
    extent = shorter[i];
  }
  return joined;
}

}  // namespace grove::arrays
