#pragma once

#include "grove/ml/data/arrays/arrays.hpp"

/// Decompositions, by Eigen 3.4, of float and double matrices with any strides.
/// Two-dimensional operands without NaN and infinity; `invalid_argument` otherwise.
namespace grove::arrays::linalg {

template <class T>
struct Qr {
  NdArray<T> q;  ///< m by min(m, n), orthonormal columns.
  NdArray<T> r;  ///< min(m, n) by n, upper triangular.
};
template <class T>
struct Svd {
  NdArray<T> u;   ///< m by min(m, n).
  NdArray<T> s;   ///< Descending.
  NdArray<T> vt;  ///< min(m, n) by n; a = u diag(s) vt.
};
template <class T>
struct Eigh {
  NdArray<T> values;   ///< Ascending.
  NdArray<T> vectors;  ///< In columns.
};

/// x with a x = b, by LU with partial pivoting; b is a vector or a matrix of
/// columns. A singular a is `invalid_argument`.
Result<NdArray<float>> solve(const View<const float>& a, const View<const float>& b);
Result<NdArray<double>> solve(const View<const double>& a, const View<const double>& b);
Result<NdArray<float>> inverse(const View<const float>& a);
Result<NdArray<double>> inverse(const View<const double>& a);
Result<float> determinant(const View<const float>& a);
Result<double> determinant(const View<const double>& a);
/// The x of least norm among those that minimise |a x - b|.
Result<NdArray<float>> least_squares(const View<const float>& a, const View<const float>& b);
Result<NdArray<double>> least_squares(const View<const double>& a, const View<const double>& b);
/// The lower triangle l with l l' = a. Not positive definite: `invalid_argument`.
Result<NdArray<float>> cholesky(const View<const float>& a);
Result<NdArray<double>> cholesky(const View<const double>& a);
Result<Qr<float>> qr(const View<const float>& a);
Result<Qr<double>> qr(const View<const double>& a);
Result<Svd<float>> svd(const View<const float>& a);
Result<Svd<double>> svd(const View<const double>& a);
/// Of a symmetric matrix; its lower triangle is read.
Result<Eigh<float>> eigh(const View<const float>& a);
Result<Eigh<double>> eigh(const View<const double>& a);

}  // namespace grove::arrays::linalg
