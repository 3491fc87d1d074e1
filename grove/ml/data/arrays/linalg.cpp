#include "grove/ml/data/arrays/linalg.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#pragma GCC diagnostic pop

#include <new>

namespace grove::arrays::linalg {
namespace {

template <class T>
using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

/// A copy in Eigen's own layout; a vector becomes one column.
template <class T>
Result<Dense<T>> dense(const View<const T>& a, bool vector = false) {
  if (a.fault()) return fail(Errc::invalid_argument, a.fault());
  if (a.rank() != 2 && !(vector && a.rank() == 1))
    return fail(Errc::invalid_argument, "linear algebra takes a matrix, not the shape " + to_string(a.shape()));
  Dense<T> made(a.shape()[0], a.rank() == 1 ? 1 : a.shape()[1]);
  for (Index j = 0; j < made.cols(); ++j)
    for (Index i = 0; i < made.rows(); ++i)
      made(i, j) = a.data()[i * a.layout().stride(0) + (a.rank() == 1 ? 0 : j * a.layout().stride(1))];
  if (!made.allFinite()) return fail(Errc::invalid_argument, "the matrix holds NaN or infinity");
  return made;
}

template <class T>
Result<Dense<T>> square(const View<const T>& a) {
  GROVE_TRY(auto made, dense(a));
  if (made.rows() != made.cols())
    return fail(Errc::invalid_argument, "the matrix " + to_string(a.shape()) + " is not square");
  return made;
}

template <class T, class M>
Result<NdArray<T>> array(const M& m, bool vector = false) {
  GROVE_TRY(auto made, NdArray<T>::make(vector ? Shape{m.rows()} : Shape{m.rows(), m.cols()}));
  for (Index i = 0; i < m.rows(); ++i)
    for (Index j = 0; j < m.cols(); ++j) made.data()[i * m.cols() + j] = m(i, j);
  return made;
}

/// Eigen reports only that memory is out, by bad_alloc.
template <class R, class F>
R guarded(F&& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(Errc::no_space, "no memory for a matrix");
  }
}

template <class T>
Result<NdArray<T>> solve_of(const View<const T>& a, const View<const T>& b) {
  GROVE_TRY(const auto m, square(a));
  GROVE_TRY(const auto right, dense(b, true));
  if (m.rows() != right.rows())
    return fail(Errc::invalid_argument, "cannot solve " + to_string(a.shape()) + " for " + to_string(b.shape()));
  if (m.rows() == 0) return NdArray<T>::make(b.shape());
  const Eigen::PartialPivLU<Dense<T>> lu(m);
  if ((lu.matrixLU().diagonal().array() == T{}).any()) return fail(Errc::invalid_argument, "the matrix is singular");
  return array<T>(lu.solve(right).eval(), b.rank() == 1);
}

template <class T>
Result<NdArray<T>> inverse_of(const View<const T>& a) {
  GROVE_TRY(const auto unit, eye<T>(a.fault() || a.rank() != 2 ? 0 : a.shape()[0]));
  return solve_of<T>(a, View<const T>(unit.view()));
}

template <class T>
Result<T> determinant_of(const View<const T>& a) {
  GROVE_TRY(const auto m, square(a));
  return m.rows() == 0 ? T{1} : Eigen::PartialPivLU<Dense<T>>(m).determinant();
}

template <class T>
Result<NdArray<T>> least_squares_of(const View<const T>& a, const View<const T>& b) {
  GROVE_TRY(const auto m, dense(a));
  GROVE_TRY(const auto right, dense(b, true));
  if (m.rows() != right.rows() || m.size() == 0)
    return fail(Errc::invalid_argument, "cannot fit " + to_string(a.shape()) + " to " + to_string(b.shape()));
  const Eigen::CompleteOrthogonalDecomposition<Dense<T>> decomposed(m);
  return array<T>(decomposed.solve(right).eval(), b.rank() == 1);
}

template <class T>
Result<NdArray<T>> cholesky_of(const View<const T>& a) {
  GROVE_TRY(const auto m, square(a));
  if (m.rows() == 0) return NdArray<T>::make({0, 0});
  const Eigen::LLT<Dense<T>> llt(m);
  if (llt.info() != Eigen::Success) return fail(Errc::invalid_argument, "the matrix is not positive definite");
  return array<T>(Dense<T>(llt.matrixL()));
}

template <class T>
Result<Qr<T>> qr_of(const View<const T>& a) {
  GROVE_TRY(const auto m, dense(a));
  const Index least = std::min(m.rows(), m.cols());
  if (least == 0) return fail(Errc::invalid_argument, "there is no QR of an empty matrix");
  const Eigen::HouseholderQR<Dense<T>> decomposed(m);
  const Dense<T> q = decomposed.householderQ() * Dense<T>::Identity(m.rows(), least);
  const Dense<T> r = decomposed.matrixQR().topRows(least).template triangularView<Eigen::Upper>();
  GROVE_TRY(auto left, array<T>(q));
  GROVE_TRY(auto right, array<T>(r));
  return Qr<T>{std::move(left), std::move(right)};
}

template <class T>
Result<Svd<T>> svd_of(const View<const T>& a) {
  GROVE_TRY(const auto m, dense(a));
  if (m.size() == 0) return fail(Errc::invalid_argument, "there is no SVD of an empty matrix");
  const Eigen::BDCSVD<Dense<T>> decomposed(m, Eigen::ComputeThinU | Eigen::ComputeThinV);
  if (decomposed.info() != Eigen::Success) return fail(Errc::internal, "the SVD did not converge");
  GROVE_TRY(auto u, array<T>(decomposed.matrixU()));
  GROVE_TRY(auto s, array<T>(decomposed.singularValues(), true));
  GROVE_TRY(auto vt, array<T>(Dense<T>(decomposed.matrixV().transpose())));
  return Svd<T>{std::move(u), std::move(s), std::move(vt)};
}

template <class T>
Result<Eigh<T>> eigh_of(const View<const T>& a) {
  GROVE_TRY(const auto m, square(a));
  if (m.size() == 0) return fail(Errc::invalid_argument, "there are no eigenvalues of an empty matrix");
  const Eigen::SelfAdjointEigenSolver<Dense<T>> solver(m);
  if (solver.info() != Eigen::Success) return fail(Errc::internal, "the eigenvalues did not converge");
  GROVE_TRY(auto values, array<T>(solver.eigenvalues(), true));
  GROVE_TRY(auto vectors, array<T>(solver.eigenvectors()));
  return Eigh<T>{std::move(values), std::move(vectors)};
}

}  // namespace

#define GROVE_LINALG_ONE(name, Kind)                                    \
  Result<Kind<float>> name(const View<const float>& a) {                \
    return guarded<Result<Kind<float>>>([&] { return name##_of(a); });  \
  }                                                                     \
  Result<Kind<double>> name(const View<const double>& a) {              \
    return guarded<Result<Kind<double>>>([&] { return name##_of(a); }); \
  }
#define GROVE_LINALG_TWO(name)                                                             \
  Result<NdArray<float>> name(const View<const float>& a, const View<const float>& b) {    \
    return guarded<Result<NdArray<float>>>([&] { return name##_of(a, b); });               \
  }                                                                                        \
  Result<NdArray<double>> name(const View<const double>& a, const View<const double>& b) { \
    return guarded<Result<NdArray<double>>>([&] { return name##_of(a, b); });              \
  }
GROVE_LINALG_TWO(solve)
GROVE_LINALG_TWO(least_squares)
GROVE_LINALG_ONE(inverse, NdArray)
GROVE_LINALG_ONE(cholesky, NdArray)
GROVE_LINALG_ONE(qr, Qr)
GROVE_LINALG_ONE(svd, Svd)
GROVE_LINALG_ONE(eigh, Eigh)
#undef GROVE_LINALG_ONE
#undef GROVE_LINALG_TWO
Result<float> determinant(const View<const float>& a) {
  return guarded<Result<float>>([&] { return determinant_of(a); });
}
Result<double> determinant(const View<const double>& a) {
  return guarded<Result<double>>([&] { return determinant_of(a); });
}

}  // namespace grove::arrays::linalg
