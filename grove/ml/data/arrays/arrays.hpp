#pragma once

// N-dimensional arrays in NumPy's manner.
//
//   GROVE_TRY(auto a, NdArray<double>::from({4, 3}, numbers));
//   GROVE_TRY(auto centred, eval(a - mean_row));           // one pass, no temporary
//   GROVE_CHECK(a.slice(range(1)) += a.slice(range(0, -1)));  // overlap is safe
//   GROVE_TRY(auto column, sum(a * a, {0}));               // folded as it is computed
//
// Slices, transposes and arithmetic are lazy: they borrow their arrays, which
// must outlive them, allocate nothing, and carry the first mistake (a wrong
// index, extents that don't broadcast) to whoever evaluates them, who gets it
// as an error. Element types are bool, the integers, float and double; operands
// of one expression have one type (`cast<T>` converts), numbers beside them are
// converted to it. Integers wrap, division by integer zero gives zero.
// Results don't depend on the processor, but those of matmul and einsum do in
// the last bits. Distinct arrays may be used in distinct threads.

#include <algorithm>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstring>
#include <type_traits>

#include "grove/ml/common/aligned.hpp"
#include "grove/ml/data/arrays/loop.hpp"

namespace grove::arrays {

template <class T>
concept Element = std::is_arithmetic_v<T> && sizeof(T) <= 8 && !std::is_const_v<T>;

struct ExpressionTag {};
template <class X>
concept Arrayish = std::is_base_of_v<ExpressionTag, std::remove_cvref_t<X>>;

template <class T, int kRank = kDynamic>
class NdArray;

#define GROVE_ARRAYS_INLINE [[gnu::always_inline]] inline

namespace detail {

constexpr int joined(int a, int b) { return a == kDynamic || b == kDynamic ? kDynamic : a > b ? a : b; }

template <class S>
constexpr int slice_delta() {
  using Kind = std::remove_cvref_t<S>;
  return std::is_same_v<Kind, NewAxis> ? 1 : std::is_integral_v<Kind> ? -1 : 0;
}
template <int kRank, class... S>
constexpr int sliced() {
  return kRank == kDynamic ? kDynamic : kRank + (0 + ... + slice_delta<S>());
}

/// Blocks of a length that the compiler knows, so that it vectorises at -O2.
template <class E>
GROVE_ARRAYS_INLINE void row(const void* expression, void* to, const void* const* in, Index n) {
  using T = typename E::Value;
  constexpr Index kBlock = 32;
  const auto kernel = static_cast<const E*>(expression)->kernel(in);
  T* const out = static_cast<T*>(to);
  Index i = 0;
  for (; i + kBlock <= n; i += kBlock) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
    for (Index j = i; j < i + kBlock; ++j) out[j] = kernel.at(j);
  }
  for (; i < n; ++i) out[i] = kernel.at(i);
}

template <class Op, class T>
GROVE_ARRAYS_INLINE void fold(void* to, Index stride, const void* from, Index n) {
  constexpr Index kLanes = 32;
  T* const out = static_cast<T*>(to);
  const T* const values = static_cast<const T*>(from);
  Index i = 0;
  if (stride == 0) {
    T total = *out;
    if (n >= kLanes) {
      T lanes[kLanes];
      for (; i < kLanes; ++i) lanes[i] = values[i];
      for (; i + kLanes <= n; i += kLanes)
        for (Index j = 0; j < kLanes; ++j) lanes[j] = Op::apply(lanes[j], values[i + j]);
      for (Index width = kLanes / 2; width > 0; width /= 2)
        for (Index j = 0; j < width; ++j) lanes[j] = Op::apply(lanes[j], lanes[j + width]);
      total = Op::apply(total, lanes[0]);
    }
    for (; i < n; ++i) total = Op::apply(total, values[i]);
    *out = total;
  } else if (stride == 1) {
    for (; i + kLanes <= n; i += kLanes) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
      for (Index j = i; j < i + kLanes; ++j) out[j] = Op::apply(out[j], values[j]);
    }
    for (; i < n; ++i) out[i] = Op::apply(out[i], values[i]);
  } else {
    for (; i < n; ++i) out[i * stride] = Op::apply(out[i * stride], values[i]);
  }
}

// Without fused multiply-add on purpose: results equal those of other processors.
template <class E>
void row_base(const void* e, void* out, const void* const* in, Index n) {
  row<E>(e, out, in, n);
}
template <class Op, class T>
void fold_base(void* out, Index stride, const void* values, Index n) {
  fold<Op, T>(out, stride, values, n);
}
#ifdef __x86_64__
template <class E>
[[gnu::target("avx2")]] void row_avx2(const void* e, void* out, const void* const* in, Index n) {
  row<E>(e, out, in, n);
}
template <class Op, class T>
[[gnu::target("avx2")]] void fold_avx2(void* out, Index stride, const void* values, Index n) {
  fold<Op, T>(out, stride, values, n);
}
#endif

template <class E>
loop::RowKernel row_kernel() {
#ifdef __x86_64__
  if (loop::has_avx2()) return &row_avx2<E>;
#endif
  return &row_base<E>;
}
template <class Op, class T>
loop::FoldKernel fold_kernel() {
#ifdef __x86_64__
  if (loop::has_avx2()) return &fold_avx2<Op, T>;
#endif
  return &fold_base<Op, T>;
}

template <class T, int kRank, class E>
Result<void> assign(T* data, const Layout& layout, const E& expression);

}  // namespace detail

// ---- views

/// A window on somebody else's array: a pointer and a layout. Cheap to copy.
/// `View<const T>` reads only. What a slice may reach is checked when it is
/// made; `operator()` checks by assert alone.
template <class T, int kRank = kDynamic>
class View : public ExpressionTag {
 public:
  using Value = std::remove_const_t<T>;
  static_assert(Element<Value>);
  static constexpr int kStaticRank = kRank;
  static constexpr int kLeaves = 1;

  View(T* data, const Layout& layout) noexcept : data_(data), layout_(layout) {
    if (kRank != kDynamic && layout_.shape.rank() != kRank && !layout_.fault)
      layout_ = Layout::broken("an array doesn't have the number of dimensions that its type says");
  }
  /// Drops the right to write, or the static rank.
  template <class U, int kOther>
    requires((std::is_same_v<U, T> || std::is_same_v<const U, T>) && (kRank == kDynamic || kRank == kOther))
  View(const View<U, kOther>& other) noexcept  // NOLINT(google-explicit-constructor)
      : data_(other.data()), layout_(other.layout()) {}

  T* data() const noexcept { return data_; }
  const Layout& layout() const noexcept { return layout_; }
  const Shape& shape() const noexcept { return layout_.shape; }
  int rank() const noexcept { return kRank == kDynamic ? layout_.shape.rank() : kRank; }
  Index size() const noexcept { return layout_.shape.size(); }
  /// What was wrong when this view was made; null when nothing was.
  const char* fault() const noexcept { return layout_.fault; }

  template <std::integral... I>
  T& operator()(I... at) const noexcept {
    static_assert(kRank == kDynamic || kRank == static_cast<int>(sizeof...(I)), "one index for each dimension");
    assert(!fault() && rank() == static_cast<int>(sizeof...(I)));
    Index offset = 0;
    int axis = 0;
    ((assert(static_cast<Index>(at) >= 0 && static_cast<Index>(at) < layout_.shape[axis]),
      offset += static_cast<Index>(at) * layout_.stride(axis++)),
     ...);
    return data_[offset];
  }

  /// `a.slice(all, range(0, n, 2), newaxis, -1)`; an index drops its dimension.
  template <class... S>
  auto slice(const S&... slices) const noexcept {
    const std::array<Slice, sizeof...(S)> items{Slice(slices)...};
    Index offset = 0;
    const Layout made = layout_.slice(items, offset);
    return View<T, detail::sliced<kRank, S...>()>(data_ + (made.fault ? 0 : offset), made);
  }
  View transpose(std::initializer_list<int> order) const noexcept {
    return {data_, layout_.transpose({order.begin(), order.size()})};
  }
  /// All axes in reverse order.
  View t() const noexcept {
    int order[kMaxRank];
    for (int i = 0; i < kMaxRank; ++i) order[i] = layout_.shape.rank() - 1 - i;
    return {data_, layout_.transpose({order, static_cast<std::size_t>(layout_.shape.rank())})};
  }
  /// Another shape for the same elements; never copies. One extent may be -1.
  View<T> reshape(const Shape& shape) const noexcept { return {data_, layout_.reshape(shape)}; }
  /// Read-only, as many elements are one.
  View<const T> broadcast_to(const Shape& shape) const noexcept { return {data_, layout_.broadcast_to(shape)}; }
  View<T> diagonal(int first = 0, int second = 1) const noexcept { return {data_, layout_.diagonal(first, second)}; }

  /// Writes an expression, an array or a number, broadcast to this shape; the
  /// result is as if all were read before anything is written.
  template <class E>
  [[nodiscard]] Result<void> assign(const E& expression) const;
  template <class E>
  [[nodiscard]] Result<void> operator+=(const E& e) const;
  template <class E>
  [[nodiscard]] Result<void> operator-=(const E& e) const;
  template <class E>
  [[nodiscard]] Result<void> operator*=(const E& e) const;
  template <class E>
  [[nodiscard]] Result<void> operator/=(const E& e) const;

  // As the leaf of an expression.
  struct Kernel {
    const Value* values;
    GROVE_ARRAYS_INLINE Value at(Index i) const { return values[i]; }
  };
  GROVE_ARRAYS_INLINE Kernel kernel(const void* const*& in) const { return {static_cast<const Value*>(*in++)}; }
  void bind(loop::Binder& binder) const noexcept { binder.add(data_, layout_, sizeof(T)); }

 private:
  T* data_;
  Layout layout_;
};

// ---- arrays

/// Owns its elements: row-major, dense, on a 64-byte boundary. Moves, and is
/// copied by `eval(a)` alone.
template <class T, int kRank>
class NdArray : public ExpressionTag {
  static_assert(Element<T>);

 public:
  using Value = T;
  static constexpr int kStaticRank = kRank;

  /// Elements are uninitialised.
  static Result<NdArray> make(const Shape& shape) {
    if (kRank != kDynamic && shape.rank() != kRank)
      return fail(Errc::invalid_argument, "the shape " + to_string(shape) + " doesn't have the type's rank");
    GROVE_TRY(const Index size, checked_size(shape, sizeof(T)));
    NdArray made;
    made.buffer_ = ml::AlignedBuffer<T>::make(static_cast<std::size_t>(size));
    if (!made.buffer_) return fail(Errc::no_space, "no memory for an array of shape " + to_string(shape));
    made.layout_ = Layout::row_major(shape);
    return made;
  }
  static Result<NdArray> full(const Shape& shape, T value) {
    GROVE_TRY(auto made, make(shape));
    std::fill_n(made.data(), made.size(), value);
    return made;
  }
  static Result<NdArray> zeros(const Shape& shape) { return full(shape, T{}); }
  /// Row-major; as many numbers as the shape has.
  static Result<NdArray> from(const Shape& shape, std::span<const T> numbers) {
    GROVE_TRY(auto made, make(shape));
    if (static_cast<std::size_t>(made.size()) != numbers.size())
      return fail(Errc::invalid_argument,
                  std::to_string(numbers.size()) + " numbers for the shape " + to_string(shape));
    std::copy(numbers.begin(), numbers.end(), made.data());
    return made;
  }
  static Result<NdArray> from(const Shape& shape, std::initializer_list<T> numbers) {
    return from(shape, std::span(numbers.begin(), numbers.size()));
  }

  T* data() noexcept { return buffer_.data(); }
  const T* data() const noexcept { return buffer_.data(); }
  const Layout& layout() const noexcept { return layout_; }
  const Shape& shape() const noexcept { return layout_.shape; }
  int rank() const noexcept { return layout_.shape.rank(); }
  Index size() const noexcept { return layout_.shape.size(); }
  std::span<const T> numbers() const noexcept { return {buffer_.data(), buffer_.size()}; }
  std::span<T> numbers() noexcept { return {buffer_.data(), buffer_.size()}; }

  View<T, kRank> view() noexcept { return {buffer_.data(), layout_}; }
  View<const T, kRank> view() const noexcept { return {buffer_.data(), layout_}; }
  operator View<T, kRank>() noexcept { return view(); }              // NOLINT(google-explicit-constructor)
  operator View<const T, kRank>() const noexcept { return view(); }  // NOLINT(google-explicit-constructor)

  template <std::integral... I>
  T& operator()(I... at) noexcept {
    return view()(at...);
  }
  template <std::integral... I>
  const T& operator()(I... at) const noexcept {
    return view()(at...);
  }
  template <class... S>
  auto slice(const S&... slices) noexcept {
    return view().slice(slices...);
  }
  template <class... S>
  auto slice(const S&... slices) const noexcept {
    return view().slice(slices...);
  }
  auto t() noexcept { return view().t(); }
  auto t() const noexcept { return view().t(); }
  auto transpose(std::initializer_list<int> order) noexcept { return view().transpose(order); }
  auto transpose(std::initializer_list<int> order) const noexcept { return view().transpose(order); }
  auto reshape(const Shape& shape) noexcept { return view().reshape(shape); }
  auto reshape(const Shape& shape) const noexcept { return view().reshape(shape); }

  template <class E>
  [[nodiscard]] Result<void> assign(const E& e) {
    return view().assign(e);
  }
  template <class E>
  [[nodiscard]] Result<void> operator+=(const E& e) {
    return view() += e;
  }
  template <class E>
  [[nodiscard]] Result<void> operator-=(const E& e) {
    return view() -= e;
  }
  template <class E>
  [[nodiscard]] Result<void> operator*=(const E& e) {
    return view() *= e;
  }
  template <class E>
  [[nodiscard]] Result<void> operator/=(const E& e) {
    return view() /= e;
  }

 private:
  NdArray() = default;
  ml::AlignedBuffer<T> buffer_;
  Layout layout_;
};

/// 0, 1, … n-1, each times `step` plus `start`.
template <class T>
Result<NdArray<T, 1>> arange(Index n, T start = 0, T step = 1) {
  GROVE_TRY(auto made, (NdArray<T, 1>::make({n})));
  for (Index i = 0; i < n; ++i) made.data()[i] = static_cast<T>(start + static_cast<T>(i) * step);
  return made;
}
template <class T>
Result<NdArray<T, 2>> eye(Index n) {
  GROVE_TRY(auto made, (NdArray<T, 2>::zeros({n, n})));
  for (Index i = 0; i < n; ++i) made(i, i) = 1;
  return made;
}

// ---- expressions

/// A number beside arrays.
template <class T>
struct Scalar : ExpressionTag {
  using Value = T;
  static constexpr int kStaticRank = 0;
  static constexpr int kLeaves = 0;
  explicit Scalar(T v) noexcept : value(v) {}
  struct Kernel {
    T value;
    GROVE_ARRAYS_INLINE T at(Index) const { return value; }
  };
  GROVE_ARRAYS_INLINE Kernel kernel(const void* const*&) const { return {value}; }
  void bind(loop::Binder&) const noexcept {}
  T value;
};

/// An operation on each element of its operands, broadcast together.
template <class Op, class... E>
struct Each;

template <class Op, class A>
struct Each<Op, A> : ExpressionTag {
  using Value = decltype(Op::apply(typename A::Value{}));
  static constexpr int kStaticRank = A::kStaticRank;
  static constexpr int kLeaves = A::kLeaves;
  explicit Each(const A& first) noexcept : a(first) {}
  struct Kernel {
    decltype(std::declval<const A&>().kernel(std::declval<const void* const*&>())) a;
    GROVE_ARRAYS_INLINE Value at(Index i) const { return Op::apply(a.at(i)); }
  };
  GROVE_ARRAYS_INLINE Kernel kernel(const void* const*& in) const { return {a.kernel(in)}; }
  void bind(loop::Binder& binder) const noexcept { a.bind(binder); }
  A a;
};

template <class Op, class A, class B>
struct Each<Op, A, B> : ExpressionTag {
  static_assert(std::is_same_v<typename A::Value, typename B::Value>,
                "the operands have different element types: convert one with cast<T>()");
  using Value = decltype(Op::apply(typename A::Value{}, typename B::Value{}));
  static constexpr int kStaticRank = detail::joined(A::kStaticRank, B::kStaticRank);
  static constexpr int kLeaves = A::kLeaves + B::kLeaves;
  Each(const A& first, const B& second) noexcept : a(first), b(second) {}
  struct Kernel {
    decltype(std::declval<const A&>().kernel(std::declval<const void* const*&>())) a;
    decltype(std::declval<const B&>().kernel(std::declval<const void* const*&>())) b;
    GROVE_ARRAYS_INLINE Value at(Index i) const { return Op::apply(a.at(i), b.at(i)); }
  };
  GROVE_ARRAYS_INLINE Kernel kernel(const void* const*& in) const {
    auto first = a.kernel(in);
    return {first, b.kernel(in)};
  }
  void bind(loop::Binder& binder) const noexcept {
    a.bind(binder);
    b.bind(binder);
  }
  A a;
  B b;
};

template <class C, class A, class B>
struct Choice : ExpressionTag {
  static_assert(std::is_same_v<typename C::Value, bool>, "where() chooses by a condition");
  static_assert(std::is_same_v<typename A::Value, typename B::Value>,
                "the operands have different element types: convert one with cast<T>()");
  using Value = typename A::Value;
  static constexpr int kStaticRank = detail::joined(C::kStaticRank, detail::joined(A::kStaticRank, B::kStaticRank));
  static constexpr int kLeaves = C::kLeaves + A::kLeaves + B::kLeaves;
  Choice(const C& condition, const A& first, const B& second) noexcept : c(condition), a(first), b(second) {}
  struct Kernel {
    decltype(std::declval<const C&>().kernel(std::declval<const void* const*&>())) c;
    decltype(std::declval<const A&>().kernel(std::declval<const void* const*&>())) a;
    decltype(std::declval<const B&>().kernel(std::declval<const void* const*&>())) b;
    GROVE_ARRAYS_INLINE Value at(Index i) const {
      const Value x = a.at(i), y = b.at(i);
      return c.at(i) ? x : y;
    }
  };
  GROVE_ARRAYS_INLINE Kernel kernel(const void* const*& in) const {
    auto condition = c.kernel(in);
    auto first = a.kernel(in);
    return {condition, first, b.kernel(in)};
  }
  void bind(loop::Binder& binder) const noexcept {
    c.bind(binder);
    a.bind(binder);
    b.bind(binder);
  }
  C c;
  A a;
  B b;
};

template <class T, int kRank>
View<const T, kRank> expression(const NdArray<T, kRank>& a) noexcept {
  return a.view();
}
template <class T, int kRank>
View<const T, kRank> expression(const NdArray<T, kRank>&&) = delete;  // name it: expressions borrow their arrays
template <class T, int kRank>
View<const std::remove_const_t<T>, kRank> expression(const View<T, kRank>& a) noexcept {
  return a;
}
template <Arrayish E>
const E& expression(const E& e) noexcept {
  return e;
}

namespace detail {

template <class X>
using Expr = std::remove_cvref_t<decltype(expression(std::declval<X>()))>;
template <class X>
concept Number = std::is_arithmetic_v<std::remove_cvref_t<X>>;
template <class A, class B>
concept Operands = (Arrayish<A> && (Arrayish<B> || Number<B>)) || (Number<A> && Arrayish<B>);

/// An operand as it is, or the number in the other operand's type.
template <class X, class Other>
auto beside(const X& x) {
  if constexpr (Number<X>) {
    using T = typename Expr<const Other&>::Value;
    return Scalar<T>(static_cast<T>(x));
  } else {
    return expression(x);
  }
}
template <class Op, class A, class B>
auto binary(const A& a, const B& b) {
  auto x = beside<A, B>(a);
  auto y = beside<B, A>(b);
  return Each<Op, decltype(x), decltype(y)>(x, y);
}
template <class Op, class A>
auto unary(const A& a) {
  return Each<Op, Expr<const A&>>(expression(a));
}

/// Integers wrap: computed unsigned, at least as wide as unsigned int.
template <class T>
using Wrapping =
    std::common_type_t<std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, char, T>>, unsigned>;

}  // namespace detail

#define GROVE_ARRAYS_ARITHMETIC(Name, symbol)                              \
  struct Name {                                                            \
    template <class T>                                                     \
    GROVE_ARRAYS_INLINE static T apply(T a, T b) {                         \
      if constexpr (std::is_floating_point_v<T>) {                         \
        return a symbol b;                                                 \
      } else {                                                             \
        using W = detail::Wrapping<T>;                                     \
        return static_cast<T>(static_cast<W>(a) symbol static_cast<W>(b)); \
      }                                                                    \
    }                                                                      \
  };                                                                       \
  template <class A, class B>                                              \
    requires detail::Operands<A, B>                                        \
  auto operator symbol(const A& a, const B& b) {                           \
    return detail::binary<Name>(a, b);                                     \
  }
GROVE_ARRAYS_ARITHMETIC(Add, +)
GROVE_ARRAYS_ARITHMETIC(Subtract, -)
GROVE_ARRAYS_ARITHMETIC(Multiply, *)
#undef GROVE_ARRAYS_ARITHMETIC

struct Divide {
  template <class T>
  GROVE_ARRAYS_INLINE static T apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      if (b == 0) return 0;
      if constexpr (std::is_signed_v<T>)
        if (b == -1) return Subtract::apply(T{0}, a);
      return static_cast<T>(a / b);
    }
  }
};
template <class A, class B>
  requires detail::Operands<A, B>
auto operator/(const A& a, const B& b) {
  return detail::binary<Divide>(a, b);
}

#define GROVE_ARRAYS_COMPARISON(Name, symbol)         \
  struct Name {                                       \
    template <class T>                                \
    GROVE_ARRAYS_INLINE static bool apply(T a, T b) { \
      return a symbol b;                              \
    }                                                 \
  };                                                  \
  template <class A, class B>                         \
    requires detail::Operands<A, B>                   \
  auto operator symbol(const A& a, const B& b) {      \
    return detail::binary<Name>(a, b);                \
  }
GROVE_ARRAYS_COMPARISON(Less, <)
GROVE_ARRAYS_COMPARISON(LessEqual, <=)
GROVE_ARRAYS_COMPARISON(Greater, >)
GROVE_ARRAYS_COMPARISON(GreaterEqual, >=)
GROVE_ARRAYS_COMPARISON(Equal, ==)
GROVE_ARRAYS_COMPARISON(NotEqual, !=)
#undef GROVE_ARRAYS_COMPARISON

/// Element by element, NaN if either is (NumPy's maximum and minimum).
struct Maximum {
  template <class T>
  GROVE_ARRAYS_INLINE static T apply(T a, T b) {
    return a > b || a != a ? a : b;
  }
};
struct Minimum {
  template <class T>
  GROVE_ARRAYS_INLINE static T apply(T a, T b) {
    return a < b || a != a ? a : b;
  }
};
struct Power {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(std::pow(a, b));
  }
};
struct And {
  GROVE_ARRAYS_INLINE static bool apply(bool a, bool b) { return a & b; }
};
struct Or {
  GROVE_ARRAYS_INLINE static bool apply(bool a, bool b) { return a | b; }
};
template <class A, class B>
  requires detail::Operands<A, B>
auto maximum(const A& a, const B& b) {
  return detail::binary<Maximum>(a, b);
}
template <class A, class B>
  requires detail::Operands<A, B>
auto minimum(const A& a, const B& b) {
  return detail::binary<Minimum>(a, b);
}
template <class A, class B>
  requires detail::Operands<A, B>
auto pow(const A& a, const B& b) {
  return detail::binary<Power>(a, b);
}
/// Of conditions; both sides are computed.
template <Arrayish A, Arrayish B>
auto operator&(const A& a, const B& b) {
  return detail::binary<And>(a, b);
}
template <Arrayish A, Arrayish B>
auto operator|(const A& a, const B& b) {
  return detail::binary<Or>(a, b);
}

struct Negate {
  template <class T>
  GROVE_ARRAYS_INLINE static T apply(T a) {
    if constexpr (std::is_floating_point_v<T>) {
      return -a;
    } else {
      return Subtract::apply(T{0}, a);
    }
  }
};
struct Not {
  GROVE_ARRAYS_INLINE static bool apply(bool a) { return !a; }
};
template <Arrayish A>
auto operator-(const A& a) {
  return detail::unary<Negate>(a);
}
template <Arrayish A>
auto operator!(const A& a) {
  return detail::unary<Not>(a);
}

#define GROVE_ARRAYS_FUNCTION(Name, name)     \
  struct Name {                               \
    template <class T>                        \
    GROVE_ARRAYS_INLINE static T apply(T a) { \
      return static_cast<T>(std::name(a));    \
    }                                         \
  };                                          \
  template <Arrayish A>                       \
  auto name(const A& a) {                     \
    return detail::unary<Name>(a);            \
  }
GROVE_ARRAYS_FUNCTION(Abs, abs)
GROVE_ARRAYS_FUNCTION(Sqrt, sqrt)
GROVE_ARRAYS_FUNCTION(Exp, exp)
GROVE_ARRAYS_FUNCTION(Log, log)
GROVE_ARRAYS_FUNCTION(Sin, sin)
GROVE_ARRAYS_FUNCTION(Cos, cos)
GROVE_ARRAYS_FUNCTION(Tanh, tanh)
GROVE_ARRAYS_FUNCTION(Floor, floor)
GROVE_ARRAYS_FUNCTION(Ceil, ceil)
#undef GROVE_ARRAYS_FUNCTION

template <class To>
struct Cast {
  template <class T>
  GROVE_ARRAYS_INLINE static To apply(T a) {
    return static_cast<To>(a);
  }
};
/// As static_cast: a number that doesn't fit an integer type is undefined.
template <Element To, Arrayish A>
auto cast(const A& a) {
  return detail::unary<Cast<To>>(a);
}

/// a where the condition holds, b elsewhere; one of them may be a number.
template <Arrayish C, class A, class B>
  requires detail::Operands<A, B>
auto where(const C& condition, const A& a, const B& b) {
  auto c = expression(condition);
  auto x = detail::beside<A, B>(a);
  auto y = detail::beside<B, A>(b);
  return Choice<decltype(c), decltype(x), decltype(y)>(c, x, y);
}

// ---- evaluation

/// Computes an expression, or copies a view, in one pass over its operands.
template <Arrayish X>
auto eval(const X& x) -> Result<NdArray<typename detail::Expr<const X&>::Value, detail::Expr<const X&>::kStaticRank>> {
  using E = detail::Expr<const X&>;
  static_assert(E::kLeaves < loop::kMaxOperands, "too many arrays in one expression: eval() a part of it");
  const E e = expression(x);
  loop::Binder binder;
  e.bind(binder);
  GROVE_TRY(const Shape shape, binder.shape());
  GROVE_TRY(auto made, (NdArray<typename E::Value, E::kStaticRank>::make(shape)));
  binder.result(made.data(), made.layout(), sizeof(typename E::Value));
  loop::assign(binder, shape, detail::row_kernel<E>(), &e);
  return made;
}

template <class T, int kRank>
template <class X>
Result<void> View<T, kRank>::assign(const X& x) const {
  static_assert(!std::is_const_v<T>, "this view reads only");
  if constexpr (detail::Number<X>) {
    return assign(Scalar<T>(static_cast<T>(x)));
  } else {
    using E = detail::Expr<const X&>;
    static_assert(std::is_same_v<typename E::Value, T>, "the element types differ: convert with cast<T>()");
    static_assert(E::kLeaves < loop::kMaxOperands, "too many arrays in one expression: eval() a part of it");
    if (fault()) return fail(Errc::invalid_argument, fault());
    const E e = expression(x);
    loop::Binder binder;
    e.bind(binder);
    GROVE_TRY(const Shape shape, binder.shape());
    GROVE_TRY(const Shape joined, broadcast(shape, layout_.shape));
    if (joined != layout_.shape)
      return fail(Errc::invalid_argument, "cannot assign " + to_string(shape) + " to " + to_string(layout_.shape));
    binder.result(data_, layout_, sizeof(T));
    if (binder.overlaps()) {
      GROVE_TRY(const auto copy, eval(e));
      return assign(copy);
    }
    loop::assign(binder, layout_.shape, detail::row_kernel<E>(), &e);
    return {};
  }
}

template <class T, int kRank>
template <class E>
Result<void> View<T, kRank>::operator+=(const E& e) const {
  return assign(*this + e);
}
template <class T, int kRank>
template <class E>
Result<void> View<T, kRank>::operator-=(const E& e) const {
  return assign(*this - e);
}
template <class T, int kRank>
template <class E>
Result<void> View<T, kRank>::operator*=(const E& e) const {
  return assign(*this * e);
}
template <class T, int kRank>
template <class E>
Result<void> View<T, kRank>::operator/=(const E& e) const {
  return assign(*this / e);
}

// ---- reductions

/// Which axes to fold; negative ones count from the end. `kAllAxes` folds all.
using Axes = std::initializer_list<int>;
enum class KeepAxes : bool { no, yes };  ///< A folded axis stays, with extent 1.

namespace detail {

/// The accumulator's layout seen along the whole shape, and its own shape.
struct Folding {
  Layout along;
  Shape kept;
  bool of_nothing = false;  ///< A folded axis has no elements.
};
Result<Folding> folding(const Shape& shape, std::span<const int> axes, KeepAxes keep);

template <class Op, class X>
auto reduce(const X& x, std::span<const int> axes, KeepAxes keep, typename Expr<const X&>::Value start, bool needs_one)
    -> Result<NdArray<typename Expr<const X&>::Value>> {
  using E = Expr<const X&>;
  using T = typename E::Value;
  static_assert(E::kLeaves < loop::kMaxOperands, "too many arrays in one expression: eval() a part of it");
  const E e = expression(x);
  loop::Binder binder;
  e.bind(binder);
  GROVE_TRY(const Shape shape, binder.shape());
  GROVE_TRY(const Folding plan, folding(shape, axes, keep));
  GROVE_TRY(auto made, NdArray<T>::full(plan.kept, start));
  if (needs_one && plan.of_nothing) return fail(Errc::invalid_argument, "there is no least or greatest of no elements");
  binder.result(made.data(), plan.along, sizeof(T));
  constexpr bool kIsView = std::is_same_v<E, View<const T, E::kStaticRank>>;
  loop::reduce(binder, shape, kIsView ? nullptr : row_kernel<E>(), &e, fold_kernel<Op, T>());
  return made;
}

inline constexpr int kEvery[kMaxRank] = {0, 1, 2, 3, 4, 5, 6, 7};

/// All axes into one number.
template <class Op, class X>
auto reduce_all(const X& x, typename Expr<const X&>::Value start, bool needs_one)
    -> Result<typename Expr<const X&>::Value> {
  GROVE_TRY(auto one, reduce<Op>(x, kEvery, KeepAxes::no, start, needs_one));
  return *one.data();
}

/// Sums of small integers are 64 bits wide, as NumPy's.
template <class T>
using Sum =
    std::conditional_t<std::is_floating_point_v<T>, T,
                       std::conditional_t<std::is_signed_v<T> || std::is_same_v<T, bool>, std::int64_t, std::uint64_t>>;
template <Arrayish X>
auto widened(const X& x) {
  using T = typename Expr<const X&>::Value;
  if constexpr (std::is_same_v<Sum<T>, T>) {
    return expression(x);
  } else {
    return cast<Sum<T>>(x);
  }
}
template <class T>
constexpr T lowest() {
  return std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
}
template <class T>
constexpr T highest() {
  return std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
}

}  // namespace detail

// Each folds an expression as it is computed: `sum(a * b)` makes no product array.
template <Arrayish X>
auto sum(const X& x) {
  return detail::reduce_all<Add>(detail::widened(x), 0, false);
}
template <Arrayish X>
auto sum(const X& x, Axes axes, KeepAxes keep = KeepAxes::no) {
  return detail::reduce<Add>(detail::widened(x), {axes.begin(), axes.size()}, keep, 0, false);
}
template <Arrayish X>
auto product(const X& x) {
  return detail::reduce_all<Multiply>(detail::widened(x), 1, false);
}
template <Arrayish X>
auto product(const X& x, Axes axes, KeepAxes keep = KeepAxes::no) {
  return detail::reduce<Multiply>(detail::widened(x), {axes.begin(), axes.size()}, keep, 1, false);
}
/// NaN if there is one; an error if there is no element.
template <Arrayish X>
auto max(const X& x) {
  return detail::reduce_all<Maximum>(x, detail::lowest<typename detail::Expr<const X&>::Value>(), true);
}
template <Arrayish X>
auto max(const X& x, Axes axes, KeepAxes keep = KeepAxes::no) {
  using T = typename detail::Expr<const X&>::Value;
  return detail::reduce<Maximum>(x, {axes.begin(), axes.size()}, keep, detail::lowest<T>(), true);
}
template <Arrayish X>
auto min(const X& x) {
  return detail::reduce_all<Minimum>(x, detail::highest<typename detail::Expr<const X&>::Value>(), true);
}
template <Arrayish X>
auto min(const X& x, Axes axes, KeepAxes keep = KeepAxes::no) {
  using T = typename detail::Expr<const X&>::Value;
  return detail::reduce<Minimum>(x, {axes.begin(), axes.size()}, keep, detail::highest<T>(), true);
}
template <Arrayish X>
Result<bool> any(const X& x) {
  return detail::reduce_all<Or>(x, false, false);
}
template <Arrayish X>
Result<bool> every(const X& x) {
  return detail::reduce_all<And>(x, true, false);
}
namespace detail {
/// How many elements are folded into one.
template <Arrayish X>
Result<Index> folded(const X& x, std::span<const int> axes) {
  loop::Binder binder;
  const auto e = expression(x);
  e.bind(binder);
  GROVE_TRY(const Shape shape, binder.shape());
  Index count = 1;
  for (const int axis : axes) {
    const int at = normal_axis(axis, shape.rank());
    if (at >= 0) {
      count *= shape[at];
    } else if (axes.data() != kEvery) {
      return fail(Errc::invalid_argument, "no axis " + std::to_string(axis) + " in the shape " + to_string(shape));
    }
  }
  return count;
}
}  // namespace detail

/// Of floating-point numbers; of no elements it is NaN.
template <Arrayish X>
auto mean(const X& x, Axes axes, KeepAxes keep = KeepAxes::no) -> decltype(sum(x, axes, keep)) {
  using T = typename detail::Expr<const X&>::Value;
  static_assert(std::is_floating_point_v<T>);
  GROVE_TRY(auto made, sum(x, axes, keep));
  GROVE_TRY(const Index count, detail::folded(x, {axes.begin(), axes.size()}));
  GROVE_CHECK(made /= static_cast<T>(count));
  return made;
}
template <Arrayish X>
auto mean(const X& x) -> decltype(sum(x)) {
  using T = typename detail::Expr<const X&>::Value;
  static_assert(std::is_floating_point_v<T>);
  GROVE_TRY(const T total, sum(x));
  GROVE_TRY(const Index count, detail::folded(x, detail::kEvery));
  return total / static_cast<T>(count);
}
/// The mean squared distance from the mean, in two passes; `freedom` is
/// subtracted from the count (NumPy's ddof).
template <Arrayish X>
auto variance(const X& x, Axes axes, int freedom = 0) -> decltype(sum(x, axes)) {
  using T = typename detail::Expr<const X&>::Value;
  GROVE_TRY(const auto centre, mean(x, axes, KeepAxes::yes));
  const auto away = x - centre;
  GROVE_TRY(auto made, sum(away * away, axes));
  GROVE_TRY(const Index count, detail::folded(x, {axes.begin(), axes.size()}));
  GROVE_CHECK(made /= static_cast<T>(count - freedom));
  return made;
}

/// The first place of the greatest (least) element along one axis.
template <Arrayish X>
Result<NdArray<Index>> arg_max(const X& x, int axis, bool least = false) {
  GROVE_TRY(const auto a, eval(x));
  const int at = normal_axis(axis, a.rank());
  if (at < 0) return fail(Errc::invalid_argument, "the array has no axis " + std::to_string(axis));
  const Index n = a.shape()[at];
  Shape kept;
  Index inner = 1;
  for (int i = 0; i < a.rank(); ++i) {
    if (i != at) kept.push(a.shape()[i]);
    if (i > at) inner *= a.shape()[i];
  }
  GROVE_TRY(auto made, NdArray<Index>::make(kept));
  if (n == 0) return fail(Errc::invalid_argument, "there is no least or greatest of no elements");
  for (Index o = 0; o < made.size(); ++o) {
    const auto* from = a.data() + o / inner * inner * n + o % inner;
    Index best = 0;
    for (Index i = 1; i < n && from[best * inner] == from[best * inner]; ++i) {
      const auto value = from[i * inner], held = from[best * inner];
      if ((least ? value < held : value > held) || value != value) best = i;
    }
    made.data()[o] = best;
  }
  return made;
}

// ---- products

/// NumPy's matmul of float or double: vectors, matrices, and stacks of matrices
/// whose leading dimensions broadcast. Strided operands are read in place.
Result<NdArray<float>> matmul(const View<const float>& a, const View<const float>& b);
Result<NdArray<double>> matmul(const View<const double>& a, const View<const double>& b);
template <Arrayish A, Arrayish B>
auto matmul(const A& a, const B& b) {
  using T = typename detail::Expr<const A&>::Value;
  return matmul(View<const T>(expression(a)), View<const T>(expression(b)));
}
/// Into an array that there is already; nothing is allocated but packed blocks.
Result<void> matmul_into(const View<float>& out, const View<const float>& a, const View<const float>& b);
Result<void> matmul_into(const View<double>& out, const View<const double>& a, const View<const double>& b);

/// Einstein's summation in NumPy's notation: "ij,jk->ik", "ii", "...ij->...ji".
/// Pairs are contracted from the left, each as a batch of matrix products.
Result<NdArray<float>> einsum(std::string_view rule, std::span<const View<const float>> operands);
Result<NdArray<double>> einsum(std::string_view rule, std::span<const View<const double>> operands);
template <Arrayish A, Arrayish... B>
auto einsum(std::string_view rule, const A& a, const B&... b) {
  using T = typename detail::Expr<const A&>::Value;
  const View<const T> operands[] = {View<const T>(expression(a)), View<const T>(expression(b))...};
  return einsum(rule, std::span<const View<const T>>(operands));
}

}  // namespace grove::arrays
