// Matrix products and einsum, over ml/common's kernels.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "grove/ml/common/gemm.hpp"
#include "grove/ml/data/arrays/arrays.hpp"

namespace grove::arrays {

Result<detail::Folding> detail::folding(const Shape& shape, std::span<const int> axes, KeepAxes keep) {
  unsigned folded = 0;
  if (axes.data() == kEvery) {
    folded = (1u << kMaxRank) - 1;
  } else {
    for (const int axis : axes) {
      if (shape.rank() == 0 && (axis == 0 || axis == -1)) continue;  // of a single number, as NumPy has it
      const int at = normal_axis(axis, shape.rank());
      if (at < 0 || (folded >> at & 1))
        return fail(Errc::invalid_argument,
                    "no axis " + std::to_string(axis) + " to fold in the shape " + to_string(shape));
      folded |= 1u << at;
    }
  }
  Folding plan;
  for (int i = 0; i < shape.rank(); ++i) {
    plan.of_nothing |= (folded >> i & 1) && shape[i] == 0;
    if (!(folded >> i & 1)) {
      plan.kept.push(shape[i]);
    } else if (keep == KeepAxes::yes) {
      plan.kept.push(1);
    }
  }
  const Layout dense = Layout::row_major(plan.kept);
  plan.along.shape = shape;
  int from = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool gone = folded >> i & 1;
    plan.along.strides[static_cast<std::size_t>(i)] = gone ? 0 : dense.stride(from);
    from += !gone || keep == KeepAxes::yes;
  }
  return plan;
}

namespace {

/// out[b] = x[b] * y[b] for three-dimensional layouts (batch, row, column).
template <class T>
Result<void> batched(T* out, const Layout& c, const T* x, const Layout& a, const T* y, const Layout& b) {
  const auto m = static_cast<std::size_t>(a.shape[1]), k = static_cast<std::size_t>(a.shape[2]),
             n = static_cast<std::size_t>(b.shape[2]);
  const Index count = a.shape[0];
  const auto dense = [](const Layout& l) { return l.stride(0) == 16 && l.stride(1) == 4 && l.stride(2) == 1; };
  if (m == 4 && n == 4 && k == 4 && dense(a) && dense(b) && dense(c)) {
    ml::multiply_4x4<T>(static_cast<std::size_t>(count), x, y, out);
    return {};
  }
  for (Index i = 0; i < count; ++i) {
    if (m * n * k > 512) {
      if (!ml::gemm<T>(m, n, k, 1, {x + i * a.stride(0), a.stride(1), a.stride(2)},
                       {y + i * b.stride(0), b.stride(1), b.stride(2)}, 0,
                       {out + i * c.stride(0), c.stride(1), c.stride(2)}))
        return fail(Errc::no_space, "no memory for the blocks of a matrix product");
      continue;
    }
    for (Index row = 0; row < static_cast<Index>(m); ++row)  // packing would cost more than it gives
      for (Index column = 0; column < static_cast<Index>(n); ++column) {
        const T* left = x + i * a.stride(0) + row * a.stride(1);
        const T* right = y + i * b.stride(0) + column * b.stride(2);
        T total{};
        for (std::size_t p = 0; p < k; ++p, left += a.stride(2), right += b.stride(1)) total += *left * *right;
        out[i * c.stride(0) + row * c.stride(1) + column * c.stride(2)] = total;
      }
  }
  return {};
}

/// The shapes of a matmul: batch dimensions and the matrices' own.
struct Product {
  Layout a, b;        ///< At least two-dimensional.
  Shape batch, full;  ///< Of the result: batch, rows, columns; `shape` without a vector's.
  Shape shape;
};

Result<Product> plan_product(Layout a, Layout b) {
  if (a.fault) return fail(Errc::invalid_argument, a.fault);
  if (b.fault) return fail(Errc::invalid_argument, b.fault);
  if (a.shape.rank() == 0 || b.shape.rank() == 0)
    return fail(Errc::invalid_argument, "a matrix product takes vectors and matrices, not single numbers");
  const bool left_vector = a.shape.rank() == 1, right_vector = b.shape.rank() == 1;
  const auto refuse = [&] {
    return fail(Errc::invalid_argument, "cannot multiply " + to_string(a.shape) + " by " + to_string(b.shape));
  };
  if (left_vector) a = {.shape = {1, a.shape[0]}, .strides = {0, a.stride(0)}};
  if (right_vector) b = {.shape = {b.shape[0], 1}, .strides = {b.stride(0), 0}};
  const int ra = a.shape.rank(), rb = b.shape.rank();
  if (a.shape[ra - 1] != b.shape[rb - 2]) return refuse();
  Product p;
  auto batch = broadcast(Shape(a.shape.extents().first(static_cast<std::size_t>(ra - 2))),
                         Shape(b.shape.extents().first(static_cast<std::size_t>(rb - 2))));
  if (!batch) return refuse();
  p.batch = *batch;
  p.full = p.shape = p.batch;
  const Index m = a.shape[ra - 2], n = b.shape[rb - 1];
  p.full.push(m);
  p.full.push(n);
  if (!left_vector) p.shape.push(m);
  if (!right_vector) p.shape.push(n);
  const auto stretch = [&](const Layout& layout, Index rows, Index columns) {
    Shape wanted = p.batch;
    wanted.push(rows);
    wanted.push(columns);
    return layout.broadcast_to(wanted);
  };
  const int last = p.batch.rank();
  const std::array strides_a{a.stride(ra - 2), a.stride(ra - 1)}, strides_b{b.stride(rb - 2), b.stride(rb - 1)};
  p.a = stretch(a, m, a.shape[ra - 1]);
  p.b = stretch(b, b.shape[rb - 2], n);
  for (std::size_t i = 0; i < 2; ++i) {  // an extent of 1 keeps its stride: kernels look for adjacent columns
    p.a.strides[static_cast<std::size_t>(last) + i] = strides_a[i];
    p.b.strides[static_cast<std::size_t>(last) + i] = strides_b[i];
  }
  return p;
}

/// Walks the batch, the longest run with one step at a time.
template <class T>
Result<void> multiply(const Product& p, T* out, const Layout& c, const T* x, const T* y) {
  if (p.full.size() == 0) return {};
  const int rank = p.batch.rank();
  const auto three = [&](const Layout& l, Index count, Index step) {
    return Layout{.shape = {count, l.shape[rank], l.shape[rank + 1]},
                  .strides = {step, l.stride(rank), l.stride(rank + 1)}};
  };
  const Index inner = rank == 0 ? 1 : p.batch[rank - 1];
  const auto step = [&](const Layout& l) { return rank == 0 ? 0 : l.stride(rank - 1); };
  Layout a = three(p.a, inner, step(p.a)), b = three(p.b, inner, step(p.b)), d = three(c, inner, step(c));
  const Index outer = rank == 0 ? 1 : p.batch.size() / inner;
  for (Index i = 0; i < outer; ++i) {
    Index at[3] = {};
    Index rest = i;
    for (int axis = rank - 2; axis >= 0; --axis) {
      const Index place = rest % p.batch[axis];
      rest /= p.batch[axis];
      at[0] += place * p.a.stride(axis);
      at[1] += place * p.b.stride(axis);
      at[2] += place * c.stride(axis);
    }
    GROVE_CHECK(batched(out + at[2], d, x + at[0], a, y + at[1], b));
  }
  return {};
}

template <class T>
Result<NdArray<T>> multiplied(const View<const T>& a, const View<const T>& b) {
  GROVE_TRY(const Product p, plan_product(a.layout(), b.layout()));
  GROVE_TRY(auto made, NdArray<T>::make(p.shape));
  GROVE_CHECK(multiply<T>(p, made.data(), Layout::row_major(p.full), a.data(), b.data()));
  return made;
}

template <class T>
Result<void> multiplied_into(const View<T>& out, const View<const T>& a, const View<const T>& b) {
  GROVE_TRY(const Product p, plan_product(a.layout(), b.layout()));
  if (out.fault()) return fail(Errc::invalid_argument, out.fault());
  if (out.shape() != p.shape || p.shape != p.full)
    return fail(Errc::invalid_argument,
                "the product's shape is " + to_string(p.full) + ", and its place's " + to_string(out.shape()));
  const auto reach = [](const auto& view) {
    std::pair<const T*, const T*> bytes{view.data(), view.data() + 1};
    for (int i = 0; i < view.shape().rank(); ++i) {
      const Index far = view.layout().stride(i) * std::max<Index>(view.shape()[i] - 1, 0);
      (far < 0 ? bytes.first : bytes.second) += far;
    }
    return bytes;
  };
  const auto place = reach(out);
  for (const auto* operand : {&a, &b})
    if (const auto from = reach(*operand); from.first < place.second && place.first < from.second) {
      GROVE_TRY(const auto made, multiplied<T>(a, b));
      return out.assign(made);
    }
  return multiply<T>(p, out.data(), out.layout(), a.data(), b.data());
}

// ---- einsum

/// Subscripts are letters; an ellipsis becomes the characters below, counted
/// from the right, so that its axes broadcast as NumPy's do.
constexpr char kEllipsis = '\x01';

struct Rule {
  std::vector<std::string> inputs;
  std::string output;
};

Result<Rule> parse_rule(std::string_view text, std::span<const Shape> shapes) {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::invalid_argument, "einsum \"" + std::string(text) + "\": " + std::string(why));
  };
  if (text.size() > 256) return refuse("it is too long");
  std::vector<std::string> terms(1);
  bool explicit_output = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') continue;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      terms.back() += c;
    } else if (c == ',' && !explicit_output) {
      terms.emplace_back();
    } else if (text.substr(i, 2) == "->" && !explicit_output) {
      explicit_output = true;
      terms.emplace_back();
      ++i;
    } else if (text.substr(i, 3) == "..." && terms.back().find(kEllipsis) == std::string::npos) {
      terms.back() += kEllipsis;
      i += 2;
    } else {
      return refuse("unexpected character");
    }
  }
  Rule rule;
  if (explicit_output) {
    rule.output = std::move(terms.back());
    terms.pop_back();
  }
  if (terms.size() != shapes.size()) return refuse("it names another number of operands");
  int widest = 0;
  const auto spread = [](std::string& term, int width) {
    const auto at = term.find(kEllipsis);
    if (at == std::string::npos) return;
    std::string axes;
    for (int i = width; i > 0; --i) axes += static_cast<char>(kEllipsis + i - 1);
    term.replace(at, 1, axes);
  };
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool open = terms[i].find(kEllipsis) != std::string::npos;
    const int width = shapes[i].rank() - static_cast<int>(terms[i].size()) + open;
    if (width < 0 || (!open && width != 0)) return refuse("subscripts don't match an operand's dimensions");
    widest = std::max(widest, open ? width : 0);
    spread(terms[i], width);
  }
  if (explicit_output) {
    if (widest > 0 && rule.output.find(kEllipsis) == std::string::npos)
      return refuse("the ellipsis is missing in the result");
    spread(rule.output, widest);
  } else {
    for (int i = widest; i > 0; --i) rule.output += static_cast<char>(kEllipsis + i - 1);
    std::array<int, 128> seen{};
    for (const std::string& term : terms)
      for (const char c : term) ++seen[static_cast<std::size_t>(c)];
    for (std::size_t c = 'A'; c <= 'z'; ++c)
      if (seen[c] == 1) rule.output += static_cast<char>(c);
  }
  for (std::size_t i = 0; i < rule.output.size(); ++i) {
    bool found = false;
    for (const std::string& term : terms) found |= term.find(rule.output[i]) != std::string::npos;
    if (!found || rule.output.find(rule.output[i], i + 1) != std::string::npos)
      return refuse("a subscript of the result is unknown or stands twice");
  }
  rule.inputs = std::move(terms);
  return rule;
}

/// An operand on its way: a view, its subscripts, and what it owns, if it does.
template <class T>
struct Term {
  View<const T> view;
  std::string names;
  std::vector<NdArray<T>> owned;  // at most one; moving keeps the elements' address
};

bool has(const std::string& names, char c) { return names.find(c) != std::string::npos; }

/// One axis a name, and none that nobody needs: diagonals, then sums.
template <class T>
Result<void> tidy(Term<T>& term, const std::string& needed) {
  for (std::size_t i = 0; i < term.names.size(); ++i) {
    const char c = term.names[i];
    const auto j = term.names.find(c, i + 1);
    if (j == std::string::npos) continue;
    const Shape& shape = term.view.shape();
    if (shape[static_cast<int>(i)] != shape[static_cast<int>(j)])
      return fail(Errc::invalid_argument, "einsum: a repeated subscript has two extents");
    term.view = term.view.diagonal(static_cast<int>(i), static_cast<int>(j));
    term.names.erase(j, 1);
    term.names.erase(i, 1);
    term.names += c;
    --i;
  }
  std::vector<int> axes;
  std::string kept;
  for (std::size_t i = 0; i < term.names.size(); ++i)
    if (has(needed, term.names[i])) {
      kept += term.names[i];
    } else {
      axes.push_back(static_cast<int>(i));
    }
  if (axes.empty()) return {};
  GROVE_TRY(auto made, detail::reduce<Add>(term.view, axes, KeepAxes::no, 0, false));
  term.view = made.view();
  term.owned.clear();
  term.owned.push_back(std::move(made));
  term.names = kept;
  return {};
}

/// The term's axes in that order; a name it doesn't have gets extent 1.
template <class T>
View<const T> ordered(const Term<T>& term, const std::string& names) {
  Layout made;
  for (const char c : names) {
    const auto at = term.names.find(c);
    const bool there = at != std::string::npos;
    made.strides[static_cast<std::size_t>(made.shape.rank())] =
        there ? term.view.layout().stride(static_cast<int>(at)) : 0;
    made.shape.push(there ? term.view.shape()[static_cast<int>(at)] : 1);
  }
  return {term.view.data(), made};
}

template <class T>
Result<Term<T>> contract(Term<T> a, Term<T> b, const std::string& needed) {
  GROVE_CHECK(tidy(a, needed + b.names));
  GROVE_CHECK(tidy(b, needed + a.names));
  std::array<Index, 128> extent{};
  extent.fill(1);
  for (const auto* term : {&a, &b})
    for (std::size_t i = 0; i < term->names.size(); ++i) {
      Index& held = extent[static_cast<std::size_t>(term->names[i])];
      const Index own = term->view.shape()[static_cast<int>(i)];
      if (held != 1 && own != 1 && held != own)
        return fail(Errc::invalid_argument,
                    "einsum: a subscript has the extents " + std::to_string(held) + " and " + std::to_string(own));
      if (own != 1) held = own;
    }
  std::string batch, left, right, middle;
  for (const char c : a.names) (!has(b.names, c) ? left : has(needed, c) ? batch : middle) += c;
  for (const char c : b.names)
    if (!has(a.names, c)) right += c;
  if ((batch + left + right).size() > kMaxRank || (batch + left + middle).size() > kMaxRank ||
      (batch + middle + right).size() > kMaxRank)
    return fail(Errc::limit, "einsum: an intermediate result would have more than 8 dimensions");
  const auto shape_of = [&](const std::string& names) {
    Shape shape;
    for (const char c : names) shape.push(extent[static_cast<std::size_t>(c)]);
    return shape;
  };
  const auto count = [&](const std::string& names) { return shape_of(names).size(); };
  // As (batch, rows, columns); a copy only where the strides don't merge.
  std::vector<NdArray<T>> copies;
  const auto flat = [&](const Term<T>& term, const std::string& rows,
                        const std::string& columns) -> Result<View<const T>> {
    const auto wide = ordered(term, batch + rows + columns).broadcast_to(shape_of(batch + rows + columns));
    if (wide.fault()) return fail(Errc::invalid_argument, wide.fault());
    const Shape three{count(batch), count(rows), count(columns)};
    if (const auto merged = wide.reshape(three); !merged.fault()) return merged;
    GROVE_TRY(auto copy, eval(wide));
    copies.push_back(std::move(copy));
    return View<const T>(copies.back().view()).reshape(three);
  };
  copies.reserve(2);
  GROVE_TRY(const auto x, flat(a, left, middle));
  GROVE_TRY(const auto y, flat(b, middle, right));
  GROVE_TRY(auto made, NdArray<T>::make(shape_of(batch + left + right)));
  const Layout out = Layout::row_major({count(batch), count(left), count(right)});
  if (made.size() > 0) GROVE_CHECK(batched(made.data(), out, x.data(), x.layout(), y.data(), y.layout()));
  Term<T> result{made.view(), batch + left + right, {}};
  result.owned.push_back(std::move(made));
  return result;
}

template <class T>
Result<NdArray<T>> summed(std::string_view text, std::span<const View<const T>> operands) {
  std::vector<Shape> shapes;
  for (const auto& operand : operands) {
    if (operand.fault()) return fail(Errc::invalid_argument, operand.fault());
    shapes.push_back(operand.shape());
  }
  if (operands.empty()) return fail(Errc::invalid_argument, "einsum: no operands");
  GROVE_TRY(const Rule rule, parse_rule(text, shapes));
  Term<T> held{operands[0], rule.inputs[0], {}};
  for (std::size_t i = 1; i < operands.size(); ++i) {
    std::string needed = rule.output;
    for (std::size_t later = i + 1; later < operands.size(); ++later) needed += rule.inputs[later];
    GROVE_TRY(held, contract(std::move(held), Term<T>{operands[i], rule.inputs[i], {}}, needed));
  }
  GROVE_CHECK(tidy(held, rule.output));
  return eval(ordered(held, rule.output));
}

}  // namespace

Result<NdArray<float>> matmul(const View<const float>& a, const View<const float>& b) { return multiplied(a, b); }
Result<NdArray<double>> matmul(const View<const double>& a, const View<const double>& b) { return multiplied(a, b); }
Result<void> matmul_into(const View<float>& out, const View<const float>& a, const View<const float>& b) {
  return multiplied_into(out, a, b);
}
Result<void> matmul_into(const View<double>& out, const View<const double>& a, const View<const double>& b) {
  return multiplied_into(out, a, b);
}
Result<NdArray<float>> einsum(std::string_view rule, std::span<const View<const float>> operands) {
  return summed(rule, operands);
}
Result<NdArray<double>> einsum(std::string_view rule, std::span<const View<const double>> operands) {
  return summed(rule, operands);
}

}  // namespace grove::arrays
