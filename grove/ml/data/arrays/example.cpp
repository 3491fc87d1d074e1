#include <iomanip>

#include "grove/base/example.hpp"
#include "grove/base/process.hpp"
#include "grove/ml/data/arrays/linalg.hpp"
#include "grove/ml/data/arrays/npy.hpp"

namespace grove::arrays {

// A line through noisy points, and the file that Python opens with numpy.load.
Result<void> example(const ExampleContext& context) {
  GROVE_TRY(auto x, arange<double>(12));
  GROVE_TRY(auto noise, eval(sin(x * 7.0) * 0.3));
  GROVE_TRY(auto y, eval(2.5 * x - 4.0 + noise));

  GROVE_TRY(auto columns, (NdArray<double, 2>::full({x.size(), 2}, 1.0)));
  GROVE_CHECK(columns.slice(all, 0).assign(x));
  GROVE_TRY(auto line, linalg::least_squares(columns.view(), y.view()));
  GROVE_TRY(auto fitted, matmul(columns, line));
  GROVE_TRY(const double error, mean(abs(y - fitted)));
  context.out << std::fixed << std::setprecision(3) << "y = " << line(0) << " x + " << line(1) << ", off by " << error
              << " on average\n";

  // Every pair's distance: (12, 1) against (1, 12).
  GROVE_TRY(auto distances, eval(abs(y.slice(all, newaxis) - y.slice(newaxis, all))));
  GROVE_TRY(auto farthest, max(distances));
  context.out << "the farthest two values are " << farthest << " apart\n";

  NpzWriter file(NpzWriter::Method::deflated);
  GROVE_CHECK(file.add("points", y));
  GROVE_CHECK(file.add("distances", distances));
  GROVE_TRY(const auto bytes, file.finish());
  const auto path = context.directory / "fit.npz";
  GROVE_CHECK(write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  context.out << "numpy.load('" << path.string() << "') has the numbers\n";
  return {};
}

}  // namespace grove::arrays
