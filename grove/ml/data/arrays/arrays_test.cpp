#include <cmath>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/ml/data/arrays/linalg.hpp"
#include "grove/ml/data/arrays/npy.hpp"

using namespace grove;
using namespace grove::arrays;

namespace {

using Array = NdArray<double>;

/// 0, 1, 2, … in that shape.
Array counted(const Shape& shape) {
  auto made = *Array::make(shape);
  double next = 0;
  for (double& x : made.numbers()) x = next++;
  return made;
}

template <class T, int kRank>
std::vector<T> list(const NdArray<T, kRank>& a) {
  return {a.numbers().begin(), a.numbers().end()};
}
template <class X>
auto listed(const X& x) {
  auto made = eval(x);
  REQUIRE_OK(made);
  return list(*made);
}
using List = std::vector<double>;

double off(const Array& a, const Array& b) {
  const auto most = max(abs(a - b));
  REQUIRE_OK(most);
  return *most;
}

std::vector<std::byte> npy_with(std::string header, std::size_t elements = 0, char version = 1) {
  const auto size = header.size();
  std::string file = std::string("\x93NUMPY") + version + '\0' + static_cast<char>(size) + static_cast<char>(size >> 8);
  if (version > 1) file += std::string(2, '\0');
  file += header + std::string(elements, '\1');
  const auto bytes = std::as_bytes(std::span(file));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("slices follow Python: negative indices, steps, cut-off ranges, new axes, an ellipsis") {
  const Array a = counted({3, 4});
  CHECK(listed(a.slice(1)) == List{4, 5, 6, 7});
  CHECK(listed(a.slice(all, -1)) == List{3, 7, 11});
  CHECK(listed(a.slice(range(1, none), range(0, 4, 2))) == List{4, 6, 8, 10});
  CHECK(listed(a.slice(reversed, 0)) == List{8, 4, 0});
  CHECK(listed(a.slice(range(-2, 99), range(5, 9))).empty());
  CHECK(a.slice(newaxis, ellipsis, newaxis).shape() == Shape{1, 3, 4, 1});
  CHECK(listed(a.slice(ellipsis, range(3, 0, -2))) == List{3, 1, 7, 5, 11, 9});
  CHECK(listed(a.t().slice(1)) == List{1, 5, 9});
}

TEST_CASE("wrong slices and shapes carry their error to whoever evaluates") {
  Array a = counted({3, 4});
  CHECK_FAILS(eval(a.slice(3)), Errc::invalid_argument);
  CHECK_FAILS(eval(a.slice(-4)), Errc::invalid_argument);
  CHECK_FAILS(eval(a.slice(0, 0, 0)), Errc::invalid_argument);
  CHECK_FAILS(eval(a.slice(range(0, 1, 0))), Errc::invalid_argument);
  CHECK_FAILS(eval(a.slice(ellipsis, ellipsis)), Errc::invalid_argument);
  CHECK_FAILS(eval(a.slice(5).slice(0) + 1), Errc::invalid_argument);
  CHECK_FAILS(eval(a.reshape({5, 2})), Errc::invalid_argument);
  CHECK_FAILS(eval(a.t().reshape({12})), Errc::invalid_argument);
  CHECK_FAILS(eval(a.transpose({0, 0})), Errc::invalid_argument);
  CHECK_FAILS(eval(a + a.t()), Errc::invalid_argument);
  CHECK_FAILS(a.assign(counted({2, 3, 4})), Errc::invalid_argument);
  CHECK_FAILS(sum(a, {2}), Errc::invalid_argument);
  CHECK_FAILS(sum(a, {0, -2}), Errc::invalid_argument);
  CHECK(eval(a + a.t()).error().message() == "cannot broadcast (3, 4) with (4, 3)");
  CHECK_FAILS(Array::make({-1}), Errc::invalid_argument);
  CHECK_FAILS(Array::make({1, 1, 1, 1, 1, 1, 1, 1, 1}), Errc::invalid_argument);
  CHECK_FAILS(Array::make({Index{1} << 31, Index{1} << 31, 4}), Errc::limit);
  CHECK_FAILS(Array::make({0, Index{1} << 62, 4}), Errc::limit);
  CHECK_FAILS((NdArray<double, 2>::make({1})), Errc::invalid_argument);
}

TEST_CASE("a reshape of strided memory merges and splits axes where it can") {
  const Array a = counted({4, 3, 2});
  CHECK(listed(a.slice(range(0, 4, 2)).reshape({2, 6}).slice(1)) == List{12, 13, 14, 15, 16, 17});
  CHECK(listed(a.slice(all, all, 0).reshape({2, -1}).slice(0)) == List{0, 2, 4, 6, 8, 10});
  CHECK(a.slice(range(0, 0)).reshape({0, 9}).fault() == nullptr);
  CHECK(counted({1}).view().reshape({}).rank() == 0);
}

TEST_CASE("expressions broadcast, fuse, and take numbers on either side") {
  const Array a = counted({2, 3}), row = counted({3}), column = counted({2, 1});
  CHECK(listed(a * 2 + row) == List{0, 3, 6, 6, 9, 12});
  CHECK(listed(10 - a - column) == List{10, 9, 8, 6, 5, 4});
  CHECK(listed(column * row) == List{0, 0, 0, 0, 1, 2});
  CHECK(listed(where(a > 2, a, -1)) == List{-1, -1, -1, 3, 4, 5});
  CHECK(listed(maximum(a, 3) + minimum(row, 1)) == List{3, 4, 4, 3, 5, 6});
  CHECK(listed(cast<int>(a / 2)) == std::vector<int>{0, 0, 1, 1, 2, 2});
  CHECK(*sum(cast<int>((a >= 1) & !(a == 4))) == 4);
  CHECK(*sum(*Array::make({0, 5}) + counted({1, 5})) == 0);
  CHECK(eval(counted({}) + 1)->rank() == 0);
}

TEST_CASE("static ranks are kept and checked") {
  const auto a = *NdArray<float, 3>::zeros({2, 3, 4});
  const auto part = a.slice(0, newaxis, all, range(1));
  static_assert(decltype(part)::kStaticRank == 3);
  static_assert(std::remove_reference_t<decltype(*eval(a + a.slice(0)))>::kStaticRank == 3);
  CHECK(part.shape() == Shape{1, 3, 3});
  CHECK(View<const float, 1>(a.data(), a.layout()).fault() != nullptr);
}

TEST_CASE("integers wrap, and divide by zero to zero") {
  const auto a = *NdArray<std::int8_t>::from({3}, {127, -128, 7});
  CHECK(listed(a + 1) == std::vector<std::int8_t>{-128, -127, 8});
  CHECK(listed(a * a) == std::vector<std::int8_t>{1, 0, 49});
  CHECK(listed(a / 0) == std::vector<std::int8_t>{0, 0, 0});
  CHECK(listed(a / -1) == std::vector<std::int8_t>{-127, -128, -7});
  CHECK(*sum(a) == 6);
  static_assert(std::is_same_v<decltype(*sum(a)), std::int64_t&&>);
  const auto big = *NdArray<std::int64_t>::from({1}, {std::numeric_limits<std::int64_t>::min()});
  CHECK(listed(big / -1) == std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min()});
}

TEST_CASE("an assignment that overlaps its operands reads all before it writes") {
  Array a = counted({6});
  REQUIRE_OK(a.slice(range(1)) += a.slice(range(0, -1)));
  CHECK(list(a) == List{0, 1, 3, 5, 7, 9});
  REQUIRE_OK(a.assign(a.slice(reversed)));
  CHECK(list(a) == List{9, 7, 5, 3, 1, 0});
  REQUIRE_OK(a *= a);
  CHECK(list(a) == List{81, 49, 25, 9, 1, 0});
  Array m = counted({3, 3});
  REQUIRE_OK(m.assign(m.t()));
  CHECK(list(m) == List{0, 3, 6, 1, 4, 7, 2, 5, 8});
  REQUIRE_OK(m.view() -= m.slice(0));
  CHECK(list(m) == List{0, 0, 0, 1, 1, 1, 2, 2, 2});
  REQUIRE_OK(m.view().diagonal().assign(7));
  CHECK(list(m) == List{7, 0, 0, 1, 7, 1, 2, 2, 7});
  Array long_one = counted({5000});
  REQUIRE_OK(long_one.slice(range(0, none, 2)) += long_one.slice(range(1, none, 2)));
  CHECK(long_one(4998) == 4998 + 4999);
  CHECK(long_one(4999) == 4999);
}

TEST_CASE("reductions fold any axes of any layout, and agree with a plain loop") {
  SplitMix64 random(5);
  for (int round = 0; round < 200; ++round) {
    Shape shape;
    for (int i = 0; i < 3; ++i) shape.push(static_cast<Index>(random.below(i == round % 3 ? 700 : 6)));
    auto a = *Array::make(shape);
    for (double& x : a.numbers()) x = static_cast<double>(random.below(100)) - 50;
    const auto view = a.transpose({1, 2, 0}).slice(range(0, none, 1 + static_cast<Index>(random.below(2))), reversed);
    const int axis = static_cast<int>(random.below(3));
    const auto folded = sum(view, {axis}, KeepAxes::yes);
    REQUIRE_OK(folded);
    auto expected = *Array::zeros(folded->shape());
    for (Index i = 0; i < view.shape()[0]; ++i)
      for (Index j = 0; j < view.shape()[1]; ++j)
        for (Index k = 0; k < view.shape()[2]; ++k)
          expected(axis == 0 ? 0 : i, axis == 1 ? 0 : j, axis == 2 ? 0 : k) += view(i, j, k);
    REQUIRE(list(*folded) == list(expected));
    REQUIRE(*sum(view) == *sum(expected));
  }
}

TEST_CASE("least, greatest, mean, variance, NaN and empty arrays") {
  const double nan = std::nan("");
  const auto a = *Array::from({2, 3}, {4, -1, 2, 8, 8, 0});
  CHECK(*max(a) == 8);
  CHECK(list(*min(a, {0})) == List{4, -1, 0});
  CHECK(list(*mean(a, {1})) == List{5. / 3, 16. / 3});
  CHECK(list(*variance(a, {0}, 1)) == List{8, 40.5, 2});
  CHECK(list(*arg_max(a, 1)) == std::vector<Index>{0, 0});
  CHECK(list(*arg_max(a, 0, true)) == std::vector<Index>{0, 0, 1});
  CHECK(*product(a.slice(0)) == -8);
  const auto holed = *Array::from({3}, {1, nan, 3});
  CHECK(std::isnan(*max(holed)));
  CHECK(std::isnan(*min(holed)));
  CHECK(listed(holed == holed) == std::vector<bool>{true, false, true});
  const auto nothing = *Array::make({0, 3});
  CHECK_FAILS(max(nothing), Errc::invalid_argument);
  CHECK_FAILS(max(nothing, {0}), Errc::invalid_argument);
  CHECK(max(nothing, {1})->size() == 0);
  CHECK(*sum(nothing) == 0);
  CHECK(*every(nothing > 0));
  CHECK_FALSE(*any(nothing > 0));
}

TEST_CASE("matmul takes vectors, matrices, broadcast stacks, strides, and places of any layout") {
  const Array a = counted({2, 3}), b = counted({3, 2});
  CHECK(list(*matmul(a, b)) == List{10, 13, 28, 40});
  CHECK(list(*matmul(a, a.slice(0))) == List{5, 14});
  CHECK(list(*matmul(a.slice(0), b)) == List{10, 13});
  CHECK(matmul(a.slice(0), a.slice(1))->rank() == 0);
  CHECK(matmul(counted({5, 1, 2, 3}), counted({4, 3, 2}))->shape() == Shape{5, 4, 2, 2});
  CHECK(list(*matmul(a.t().slice(reversed), a)) == List{15, 22, 29, 12, 17, 22, 9, 12, 15});
  CHECK(list(*matmul(*Array::make({2, 0}), *Array::make({0, 2}))) == List{0, 0, 0, 0});
  CHECK_FAILS(matmul(a, a), Errc::invalid_argument);
  CHECK_FAILS(matmul(a, counted({})), Errc::invalid_argument);
  Array square = counted({2, 2}), place = counted({2, 2});
  REQUIRE_OK(matmul_into(place.t(), square, square));
  CHECK(list(place) == List{2, 6, 3, 11});
  REQUIRE_OK(matmul_into(square, square, square));  // onto itself
  CHECK(list(square) == List{2, 3, 6, 11});
  CHECK_FAILS(matmul_into(square, a, b.slice(all, range(1))), Errc::invalid_argument);
  const auto stack = counted({300, 4, 4});
  const auto squares = *matmul(stack, stack);
  for (const Index i : {0, 7, 299})
    CHECK(off(*eval(squares.slice(i)), *matmul(stack.slice(i), stack.slice(i).t().t())) == 0);
}

TEST_CASE("einsum: products, traces, diagonals, sums, ellipses, and refusals") {
  const Array a = counted({2, 3}), b = counted({3, 4}), c = counted({3, 3});
  CHECK(off(*einsum("ij,jk->ik", a, b), *matmul(a, b)) == 0);
  CHECK(off(*einsum("ij,jk", a, b), *matmul(a, b)) == 0);
  CHECK(list(*einsum("ii", c)) == List{12});
  CHECK(list(*einsum("ii->i", c)) == List{0, 4, 8});
  CHECK(list(*einsum("ij->ji", a)) == listed(a.t()));
  CHECK(list(*einsum("ij->", a)) == List{15});
  CHECK(einsum("...ij,jk->k...i", counted({5, 2, 3}), b)->shape() == Shape{4, 5, 2});
  CHECK(off(*einsum("ij,jk,lk->il", a, b, b), *matmul(*matmul(a, b), b.t())) == 0);
  CHECK(list(*einsum("i,i->i", counted({3}), counted({3}))) == List{0, 1, 4});
  for (const char* wrong : {"", "i,j", "ijk", "ij->ii", "ij->k", "i.j", "ij->ij->ij", "...i...", "i1"})
    CHECK_FAILS(einsum(wrong, a), Errc::invalid_argument);
  CHECK_FAILS(einsum("ij,jk", a, a), Errc::invalid_argument);
  CHECK_FAILS(einsum("ii", a), Errc::invalid_argument);
  CHECK_FAILS(einsum("abcde,fghij->abcdefghij", *Array::zeros({1, 1, 1, 1, 1}), *Array::zeros({1, 1, 1, 1, 1})),
              Errc::limit);
}

TEST_CASE("decompositions give their matrix back") {
  SplitMix64 random(9);
  for (const Index n : {1, 2, 5, 30}) {
    auto a = *Array::make({n + 2, n}), s = *Array::make({n, n});
    for (double& x : a.numbers()) x = random.unit() - 0.5;
    for (double& x : s.numbers()) x = random.unit() - 0.5;
    const auto qr = *linalg::qr(a);
    CHECK(off(*matmul(qr.q, qr.r), a) < 1e-13);
    const auto svd = *linalg::svd(a);
    CHECK(off(*matmul(*eval(svd.u * svd.s), svd.vt), a) < 1e-13);
    const auto symmetric = *eval(s + s.t());
    const auto eigh = *linalg::eigh(symmetric);
    CHECK(off(*matmul(*eval(eigh.vectors * eigh.values), eigh.vectors.t()), symmetric) < 1e-13);
    const Array unit = *eval(eye<double>(n)->view().reshape({n, n}));
    REQUIRE_OK(s += 3 * unit);
    CHECK(off(*matmul(s, *linalg::inverse(s)), unit) < 1e-13);
    const auto b = *eval(a.slice(range(0, n)).t());
    CHECK(off(*matmul(s, *linalg::solve(s, b)), b) < 1e-13);
    const auto positive = *matmul(s, s.t());
    const auto l = *linalg::cholesky(positive);
    CHECK(off(*matmul(l, l.t()), positive) < 1e-12);
    CHECK(std::fabs(*linalg::determinant(positive) / std::pow(*linalg::determinant(s), 2) - 1) < 1e-10);
  }
}

TEST_CASE("linear algebra refuses what it cannot do") {
  const Array a = counted({2, 3}), singular = counted({2, 2});
  CHECK_FAILS(linalg::inverse(a), Errc::invalid_argument);
  CHECK_FAILS(linalg::solve(singular, counted({3})), Errc::invalid_argument);
  CHECK_FAILS(linalg::solve(*Array::zeros({2, 2}), counted({2})), Errc::invalid_argument);
  CHECK_FAILS(linalg::cholesky(*eval(-singular)), Errc::invalid_argument);
  CHECK_FAILS(linalg::svd(counted({3})), Errc::invalid_argument);
  CHECK_FAILS(linalg::svd(*Array::make({0, 3})), Errc::invalid_argument);
  CHECK_FAILS(linalg::eigh(*Array::full({2, 2}, std::nan(""))), Errc::invalid_argument);
  CHECK_FAILS(linalg::inverse(a.slice(7)), Errc::invalid_argument);
}

TEST_CASE("an .npy file round-trips, and is refused when cut at any byte") {
  const Array a = counted({2, 3});
  const auto file = *write_npy(a.t());
  CHECK(file.size() % 64 == 48);  // elements start on 64 bytes
  const auto read = read_npy(file);
  REQUIRE_OK(read);
  CHECK(listed(*read->as<double>()) == listed(a.t()));
  CHECK_FAILS(read->as<float>(), Errc::invalid_argument);
  for (std::size_t n = 0; n < file.size(); ++n) CHECK_FALSE(read_npy(std::span(file).first(n)));
  CHECK_FAILS(read_npy(file, {.bytes = 47}), Errc::limit);
  CHECK_FAILS(read_npy(file, {.header = 8}), Errc::limit);
}

TEST_CASE("headers that lie, overflow, or hide something are refused") {
  const auto header = [](const std::string& descr, const std::string& shape, const std::string& order = "False") {
    return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + "}\n";
  };
  CHECK_OK(read_npy(npy_with(header("'<f8'", "(2,)"), 16)));
  CHECK_OK(read_npy(npy_with("{\"shape\":(),'descr':'|b1','fortran_order':True,}", 1)));
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(2,)"), 17)), Errc::parse);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(3,)"), 16)), Errc::truncated);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(4611686018427387904, 4)"))), Errc::limit);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(0, 4611686018427387904, 4)"))), Errc::limit);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(99999999999999999999999,)"))), Errc::limit);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(1152921504606846975,)"))), Errc::limit);
  CHECK_FAILS(read_npy(npy_with(header("'|O'", "(1,)"), 8)), Errc::parse);
  CHECK_FAILS(read_npy(npy_with(header("'<c16'", "(1,)"), 16)), Errc::unsupported);
  CHECK_FAILS(read_npy(npy_with(header("[('a', '<f8')]", "(1,)"), 8)), Errc::unsupported);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "(1,1,1,1,1,1,1,1,1)"), 8)), Errc::unsupported);
  for (const char* shape : {"(-1,)", "2", "(2)", "(2 2,)", "(,)", "(2,", "(2L,)", "[2]"})
    CHECK_FAILS(read_npy(npy_with(header("'<f8'", shape), 16)), Errc::parse);
  for (const char* whole : {"", "{}", "{'descr': '<f8'}", "{'descr': '<f8', 'descr': '<f8'", "__import__('os')",
                            "{'descr': '<f8', 'fortran_order': 1, 'shape': ()}", "{'descr: }"})
    CHECK_FAILS(read_npy(npy_with(whole, 8)), Errc::parse);
  CHECK_FAILS(read_npy(npy_with(header("'f8'", "()"), 8)), Errc::parse);
  CHECK_FAILS(read_npy(npy_with(header("'<f8'", "()"), 8, 4)), Errc::unsupported);
}

TEST_CASE("an .npz archive round-trips, and damage never gives a wrong array") {
  for (const auto method : {NpzWriter::Method::stored, NpzWriter::Method::deflated}) {
    NpzWriter writer(method);
    const Array a = counted({20, 30});
    REQUIRE_OK(writer.add("a", a));
    REQUIRE_OK(writer.add("flags", a > 5));
    REQUIRE_OK(writer.add("empty", *NdArray<float>::make({0, 2})));
    CHECK_FAILS(writer.add("a", a), Errc::already_exists);
    auto file = *writer.finish();
    const auto read = read_npz(file);
    REQUIRE_OK(read);
    CHECK(read->size() == 3);
    CHECK(listed(*read->at("a").as<double>()) == list(a));
    CHECK(*sum(*read->at("flags").as<bool>()) == 594);
    CHECK_FAILS(read_npz(file, {.bytes = 4000}), Errc::limit);
    CHECK_FAILS(read_npz(file, {.entries = 2}), Errc::limit);
    for (std::size_t n = 0; n < file.size(); ++n) REQUIRE_FALSE(read_npz(std::span(file).first(n)));
    for (std::size_t i = 0; i < file.size(); ++i) {
      file[i] ^= std::byte{0x55};
      if (const auto damaged = read_npz(file)) {
        for (const auto& [name, array] : *damaged)
          if (name == "a") CHECK(listed(*array.as<double>()) == list(a));
      }
      file[i] ^= std::byte{0x55};
    }
  }
  const auto none_at_all = *NpzWriter().finish();
  CHECK(read_npz(none_at_all)->empty());
}
