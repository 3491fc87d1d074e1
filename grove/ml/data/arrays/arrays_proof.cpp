// Random programs against NumPy: what this library computes, and what NumPy
// says to the same text; errors must agree too. Operands go over in our .npz,
// results come back in NumPy's.

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/ml/data/arrays/linalg.hpp"
#include "grove/ml/data/arrays/npy.hpp"

using namespace grove;
using namespace grove::arrays;

namespace {

using Array = NdArray<double>;
using Const = View<const double>;

constexpr const char* kPython = "/usr/bin/python3";

bool have_numpy() {
  const auto found = run_process({kPython, "-c", "import numpy"});
  if (found && found->status == 0) return true;
  proof::not_run("numpy", "apt-get install python3-numpy");
  return false;
}

double scale_by() {
  const char* text = std::getenv("GROVE_PROOF_SCALE");
  return text ? std::atof(text) : 1;
}

/// A computed value, the text that NumPy gets, and the largest magnitude on the way.
struct Value {
  std::string text;
  Result<Array> array;
  double scale = 1;
};

double magnitude(const Array& a) {
  double most = 1;
  for (const double x : a.numbers())
    if (std::isfinite(x)) most = std::max(most, std::fabs(x));
  return most;
}

class Programs {
 public:
  explicit Programs(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 60; ++i) {
      Shape shape;
      const auto rank = random_.below(5);
      for (std::uint64_t k = 0; k < rank; ++k) {
        constexpr Index kExtents[] = {1, 1, 2, 3, 3, 3, 4, 5, 0};
        shape.push(kExtents[random_.below(random_.below(6) == 0 ? 9 : 8)]);
      }
      keep(shape);
    }
    wide_ = pool_.size();
    keep({3, 700});  // longer than a gathered row
    keep({700, 3});
    keep({1500});
  }

  Value expression(int depth) {
    if (depth == 0 || random_.below(8) == 0) return leaf();
    Value a = expression(depth - 1), b = expression(depth - 1);
    for (int attempt = 0; attempt < 12; ++attempt) {  // most shapes don't fit: few mistakes are enough
      if (attempt > 1) b = leaf();
      Value made = combined(a, b);
      if (made.array || random_.below(40) == 0) return made;
    }
    return a;
  }

  /// `a[…] op= a[…]` on one array: the result is all of it.
  Value overlapping() {
    const std::size_t at = random_.below(pool_.size());
    auto a = *eval(pool_[at]);
    const auto [to, to_text] = slices(a.rank());
    auto [from, from_text] = slices(a.rank());
    if (random_.below(2) == 0) {
      from = to;
      from_text = to_text;
      if (!from.empty() && from[0].kind == Slice::Kind::range && random_.below(2) == 0) {
        from[0] = reversed;
        from_text = "(slice(None,None,-1)," + from_text.substr(from_text.find("),") + 2);
      }
    }
    const View<double> target = sliced(View<double>(a.view()), to);
    const Const source = sliced(Const(a.view()), from);
    const auto op = random_.below(3);
    const auto done = op == 0 ? target += source : op == 1 ? target *= source : target.assign(source);
    constexpr const char* kOps[] = {"np.add(v,w,out=v)", "np.multiply(v,w,out=v)", "np.positive(w,out=v)"};
    Value value{"update(p[" + std::to_string(at) + "]," + to_text + "," + from_text + ",'" + kOps[op] + "')",
                done ? Result<Array>(std::move(a)) : Result<Array>(std::unexpected(done.error()))};
    return value;
  }

  Value contraction() {
    const std::size_t count = 1 + random_.below(3);
    std::string rule, letters;
    std::vector<std::size_t> operands;
    const bool open = random_.below(4) == 0;
    for (std::size_t i = 0; i < count; ++i) {
      Shape shape;
      if (i) rule += ',';
      if (open) {
        rule += "...";
        if (random_.below(2)) shape.push(random_.below(2) ? 3 : 1);
      }
      for (std::uint64_t k = 1 + random_.below(3); k > 0; --k) {
        const auto letter = random_.below(5);
        rule += static_cast<char>('a' + letter);
        letters += static_cast<char>('a' + letter);
        constexpr Index kExtents[] = {2, 3, 4, 1, 5};
        shape.push(kExtents[letter]);
      }
      operands.push_back(keep(shape));
    }
    if (random_.below(3) > 0) {
      rule += "->";
      if (open) rule += "...";
      std::string out;
      for (const char c : letters)
        if (out.find(c) == std::string::npos && random_.below(2)) out.insert(random_.below(out.size() + 1), 1, c);
      rule += out;
    }
    std::vector<Const> views;
    Value value{"np.einsum('" + rule + "'", Array::zeros({})};
    for (const std::size_t operand : operands) {
      views.emplace_back(pool_[operand].view());
      value.text += ",p[" + std::to_string(operand) + "]";
    }
    value.text += ")";
    value.array = einsum(rule, views);
    value.scale = 1000;
    return value;
  }

  Value decomposition() {
    const Index n = 1 + static_cast<Index>(random_.below(12));
    const std::size_t at = keep({n, n}), right = keep({n, 2}), tall = keep({n + 3, n});
    for (Index i = 0; i < n; ++i) pool_[at](i, i) += 3 * static_cast<double>(n);  // well conditioned
    for (Index i = 0; i < n; ++i) pool_[tall](i, i) += 3 * static_cast<double>(n);
    const Const a = pool_[at].view(), b = pool_[right].view(), t = pool_[tall].view();
    const std::string pa = "p[" + std::to_string(at) + "]", pb = "p[" + std::to_string(right) + "]",
                      pt = "p[" + std::to_string(tall) + "]";
    const double scale = magnitude(pool_[at]) * 10;
    switch (random_.below(7)) {
      case 0: return {"np.linalg.solve(" + pa + "," + pb + ")", linalg::solve(a, b), scale};
      case 1: return {"np.linalg.inv(" + pa + ")", linalg::inverse(a), scale};
      case 2: {
        auto made = linalg::svd(t);
        return {"np.linalg.svd(" + pt + ",compute_uv=False)", std::move(made->s), scale};
      }
      case 3: {
        auto made = linalg::eigh(a);
        return {"np.linalg.eigvalsh(" + pa + ")", std::move(made->values), scale};
      }
      case 4: {
        auto made = linalg::qr(t);
        return {"np.abs(np.linalg.qr(" + pt + ")[1])", eval(abs(made->r)), scale};  // signs are free
      }
      case 5:
        return {"np.linalg.lstsq(" + pt + ",np.ones(" + std::to_string(n + 3) + "),rcond=None)[0]",
                linalg::least_squares(t, *NdArray<double>::full({n + 3}, 1)), scale};
      default: {
        const auto symmetric = *eval(a + pool_[at].t());
        return {"np.linalg.cholesky(" + pa + "+" + pa + ".T)", linalg::cholesky(symmetric), scale};
      }
    }
  }

  const std::vector<Array>& pool() const { return pool_; }

 private:
  std::size_t keep(const Shape& shape) {
    pool_.push_back(*Array::make(shape));
    for (double& x : pool_.back().numbers()) x = random_.unit() * 4 - 2;
    return pool_.size() - 1;
  }

  std::pair<std::vector<Slice>, std::string> slices(int rank) {
    std::vector<Slice> made;
    std::string text = "(";
    const auto number = [&](Index n) { return n == none ? std::string("None") : std::to_string(n); };
    for (int axis = 0; axis < rank && random_.below(8) > 0; ++axis) {
      if (random_.below(8) == 0) {
        made.emplace_back(newaxis);
        text += "None,";
      }
      if (random_.below(6) == 0) {
        made.emplace_back(static_cast<Index>(random_.below(5)) - 2);
        text += number(made.back().range.from) + ",";
      } else {
        const auto end = [&] { return random_.below(2) ? none : static_cast<Index>(random_.below(9)) - 4; };
        constexpr Index kSteps[] = {1, 1, 1, 2, -1, -2, 3};
        const Range r{end(), end(), kSteps[random_.below(7)]};
        made.emplace_back(r);
        text += "slice(" + number(r.from) + "," + number(r.to) + "," + number(r.step) + "),";
      }
    }
    if (random_.below(5) == 0) {
      made.emplace_back(ellipsis);
      text += "Ellipsis,";
    }
    return {std::move(made), text + ")"};
  }

  template <class T>
  static View<T> sliced(const View<T>& view, const std::vector<Slice>& items) {
    Index offset = 0;
    const Layout layout = view.layout().slice(items, offset);
    return {view.data() + (layout.fault ? 0 : offset), layout};
  }

  Value combined(const Value& a, const Value& b) {
    switch (random_.below(6)) {
      case 0: return unary(a);
      case 1: return fold(a);
      case 2: return product(a, b);
      default: return elementwise(a, b, leaf());
    }
  }

  Value leaf() {
    Value value = any_leaf();
    for (int i = 0; i < 3 && !value.array; ++i) value = any_leaf();
    return value;
  }

  Value any_leaf() {
    const bool large = random_.below(20) == 0;
    const std::size_t at = large ? wide_ + random_.below(3) : random_.below(wide_);
    const Array& a = pool_[at];
    Value value{"p[" + std::to_string(at) + "]", Array::zeros({})};
    Const view = a.view();
    if (random_.below(3) == 0) {
      view = view.t();
      value.text += ".T";
    }
    if (random_.below(2) == 0) {
      const auto [items, text] = slices(view.rank());
      view = sliced(view, items);
      value.text += "[" + text + "]";
    }
    value.array = eval(view);
    value.scale = 2;
    return value;
  }

  /// What `make` gives for arrays that are there; their error otherwise.
  template <class F>
  static Value with(std::string text, const Value& a, F&& make) {
    Value value{std::move(text), a.array ? make(*a.array) : Result<Array>(std::unexpected(a.array.error())), a.scale};
    if (value.array) value.scale = std::max(value.scale, magnitude(*value.array));
    return value;
  }

  Value unary(const Value& a) {
    const std::string& t = a.text;
    switch (random_.below(8)) {
      case 0: return with("(-" + t + ")", a, [](const Array& x) { return eval(-x); });
      case 1: return with("np.sqrt(np.abs(" + t + "))", a, [](const Array& x) { return eval(sqrt(abs(x))); });
      case 2:
        return with("np.exp(np.minimum(" + t + ",1))", a, [](const Array& x) { return eval(exp(minimum(x, 1))); });
      case 3:
        return with("np.sin(np.clip(" + t + ",-9,9))", a,
                    [](const Array& x) { return eval(sin(maximum(minimum(x, 9), -9))); });
      case 4: return with("np.tanh(" + t + ")", a, [](const Array& x) { return eval(tanh(x)); });
      case 5: return with("np.log(1+np.abs(" + t + "))", a, [](const Array& x) { return eval(log(1 + abs(x))); });
      case 6: return with("np.transpose(" + t + ")", a, [](const Array& x) { return Result<Array>(eval(x.t())); });
      default: return with(t + ".reshape(-1)", a, [](const Array& x) { return Result<Array>(eval(x.reshape({-1}))); });
    }
  }

  Value fold(const Value& a) {
    const int axis = static_cast<int>(random_.below(5)) - 2;
    const bool kept = random_.below(2);
    const KeepAxes keep = kept ? KeepAxes::yes : KeepAxes::no;
    const std::string arguments = ",axis=" + std::to_string(axis) + (kept ? ",keepdims=True)" : ")");
    const std::string& t = a.text;
    switch (random_.below(6)) {
      case 0: return with("np.sum(" + t + arguments, a, [&](const Array& x) { return sum(x, {axis}, keep); });
      case 1: return with("np.mean(" + t + arguments, a, [&](const Array& x) { return mean(x, {axis}, keep); });
      case 2: return with("np.max(" + t + arguments, a, [&](const Array& x) { return max(x, {axis}, keep); });
      case 3:
        return with("np.min(np.transpose(" + t + ")*2" + arguments, a,
                    [&](const Array& x) { return min(x.t() * 2, {axis}, keep); });
      case 4:
        return with("np.var(" + t + ",axis=" + std::to_string(axis) + ")", a,
                    [&](const Array& x) { return variance(x, {axis}); });
      default:
        return with("np.sum(" + t + "*" + t + ")", a, [](const Array& x) -> Result<Array> {
          GROVE_TRY(const double total, sum(x * x));
          return Array::full({}, total);
        });
    }
  }

  Value product(const Value& a, const Value& b) {
    return joined("np.matmul(" + a.text + "," + b.text + ")", a, b,
                  [](const Array& x, const Array& y) { return matmul(x, y); });
  }

  template <class F>
  static Value joined(std::string text, const Value& a, const Value& b, F&& make) {
    if (!b.array) return {std::move(text), std::unexpected(b.array.error())};
    Value value = with(std::move(text), a, [&](const Array& x) { return make(x, *b.array); });
    value.scale = std::max(value.scale, b.scale);
    return value;
  }

  Value elementwise(const Value& a, const Value& b, const Value& c) {
    const std::string &s = a.text, &t = b.text, &u = c.text;
    const auto with_c = [&](std::string text, auto make) {
      if (!c.array) return Value{std::move(text), std::unexpected(c.array.error())};
      return joined(std::move(text), a, b, [&](const Array& x, const Array& y) { return make(x, y, *c.array); });
    };
    switch (random_.below(8)) {
      case 0: return joined("(" + s + "+" + t + ")", a, b, [](const Array& x, const Array& y) { return eval(x + y); });
      case 1:
        return joined("(" + s + "-2*" + t + ")", a, b, [](const Array& x, const Array& y) { return eval(x - 2 * y); });
      case 2:
        return joined("(" + s + "/(" + t + "*" + t + "+0.5))", a, b,
                      [](const Array& x, const Array& y) { return eval(x / (y * y + 0.5)); });
      case 3:
        return joined("np.maximum(" + s + "," + t + ".T)", a, b,
                      [](const Array& x, const Array& y) { return eval(maximum(x, y.t())); });
      case 4:
        return with_c("(" + s + "*" + t + "+" + u + ")",
                      [](const Array& x, const Array& y, const Array& z) { return eval(x * y + z); });
      case 5:
        return with_c("np.where(" + s + "<" + t + "," + u + ",-" + t + ")",
                      [](const Array& x, const Array& y, const Array& z) { return eval(where(x < y, z, -y)); });
      case 6:
        return with_c(
            "np.where((" + s + ">0)&(" + t + "<1),1," + u + ")",
            [](const Array& x, const Array& y, const Array& z) { return eval(where((x > 0) & (y < 1), 1, z)); });
      default:
        return with_c("((" + s + "-" + u + ")*np.abs(" + t + "))",
                      [](const Array& x, const Array& y, const Array& z) { return eval((x - z) * abs(y)); });
    }
  }

  SplitMix64 random_;
  std::vector<Array> pool_;
  std::size_t wide_ = 0;
};

constexpr const char* kScript = R"(
import numpy as np, sys
np.seterr(all='ignore')
where = sys.argv[1]
pool = np.load(where + '/pool.npz')
p = [pool['p%d' % i] for i in range(len(pool.files))]
def update(a, to, source, op):
    a = a.copy()
    if Ellipsis not in to: to += (Ellipsis,)
    v, w = a[to], a[source]
    eval(op, {'np': np, 'v': v, 'w': w})
    return a
status, ranks, extents, values = [], [], [], []
for line in open(where + '/programs.txt'):
    try:
        r = np.asarray(eval(line), dtype=np.float64)
    except (ValueError, IndexError, np.linalg.LinAlgError):
        status.append(0)
        continue
    status.append(1)
    ranks.append(r.ndim)
    extents.extend(r.shape)
    values.append(r.ravel())
np.savez(where + '/results.npz', status=np.array(status, np.uint8), ranks=np.array(ranks, np.int64),
         extents=np.array(extents, np.int64), values=np.concatenate(values))
)";

Result<void> put_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  return write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<std::map<std::string, AnyArray>> get_npz(const std::filesystem::path& path) {
  GROVE_TRY(const std::string file, read_file(path));
  return read_npz(std::as_bytes(std::span(file)));
}

struct Outcome {
  std::size_t total = 0, agreed = 0, errors = 0;
  double worst = 0;
};

Outcome compare(const Programs& programs, const std::vector<Value>& values) {
  Outcome outcome{.total = values.size()};
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  NpzWriter pool(NpzWriter::Method::deflated);
  for (std::size_t i = 0; i < programs.pool().size(); ++i)
    REQUIRE_OK(pool.add("p" + std::to_string(i), programs.pool()[i]));
  REQUIRE_OK(put_file(directory->path() / "pool.npz", *pool.finish()));
  std::string text;
  for (const Value& value : values) text += value.text + "\n";
  REQUIRE_OK(write_file(directory->path() / "programs.txt", text));
  REQUIRE_OK(write_file(directory->path() / "run.py", kScript));
  const auto run =
      run_process({kPython, directory->path() / "run.py", directory->path()}, {.timeout = std::chrono::minutes(10)});
  REQUIRE_OK(run);
  REQUIRE_MESSAGE(run->status == 0, run->err);
  const auto results = get_npz(directory->path() / "results.npz");
  REQUIRE_OK(results);
  const auto status = *results->at("status").as<std::uint8_t>();
  const auto ranks = *results->at("ranks").as<std::int64_t>(), extents = *results->at("extents").as<std::int64_t>();
  const auto numbers = *results->at("values").as<double>();
  REQUIRE(status.size() == static_cast<Index>(values.size()));
  Index rank_at = 0, extent_at = 0, number_at = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Value& mine = values[i];
    const bool theirs = status(i) != 0;
    Shape shape;
    if (theirs)
      for (auto k = ranks(rank_at++); k > 0; --k) shape.push(extents(extent_at++));
    const Index start = number_at;
    if (theirs) number_at += shape.size();
    std::string problem;
    if (theirs != mine.array.has_value()) {
      problem = theirs ? "only NumPy computes it: " + mine.array.error().message() : "only NumPy refuses it";
    } else if (!theirs) {
      ++outcome.errors;
    } else if (mine.array->shape() != shape) {
      problem = to_string(mine.array->shape()) + " instead of " + to_string(shape);
    } else {
      for (Index k = 0; k < shape.size() && problem.empty(); ++k) {
        const double x = mine.array->numbers()[static_cast<std::size_t>(k)], y = numbers(start + k);
        if (x == y || (std::isnan(x) && std::isnan(y))) continue;
        const double off = std::fabs(x - y) / std::max(std::fabs(y), mine.scale);
        outcome.worst = std::max(outcome.worst, off);
        if (!(off <= 1e-12)) problem = std::to_string(x) + " instead of " + std::to_string(y);
      }
    }
    if (problem.empty()) {
      ++outcome.agreed;
    } else if (i - outcome.agreed < 5) {
      MESSAGE(mine.text << ": " << problem);
    }
  }
  return outcome;
}

}  // namespace

TEST_CASE("random programs equal NumPy's, in values, shapes and errors") {
  if (!have_numpy()) return;
  Programs programs(2026);
  const auto many = [&](int count, auto make) {
    std::vector<Value> values;
    for (int i = 0; i < static_cast<int>(count * scale_by()); ++i) values.push_back(make());
    return values;
  };
  const auto expressions = many(20000, [&] { return programs.expression(4); });
  const auto updates = many(4000, [&] { return programs.overlapping(); });
  const auto contractions = many(2000, [&] { return programs.contraction(); });
  const auto decompositions = many(500, [&] { return programs.decomposition(); });
  const auto report = [&](const char* suite, const std::vector<Value>& values) {
    const Outcome outcome = compare(programs, values);
    proof::conformance(outcome.agreed, outcome.total, suite);
    proof::figure(std::string(suite) + "-refused-by-both", static_cast<double>(outcome.errors), "programs");
    proof::figure(std::string(suite) + "-worst-difference", outcome.worst, "relative");
    CHECK(outcome.agreed == outcome.total);
  };
  report("expressions", expressions);
  report("overlapping-updates", updates);
  report("einsum", contractions);
  report("linalg", decompositions);
}

TEST_CASE("NumPy's files of every type, order, byte order and version are read, and ours are read by NumPy") {
  if (!have_numpy()) return;
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const auto python = [&](const std::string& text) {
    const auto run = run_process(
        {kPython, "-c", "import numpy as np, sys, io, zipfile\nd = sys.argv[1]\n" + text, directory->path()});
    REQUIRE_OK(run);
    CAPTURE(run->err);
    REQUIRE(run->status == 0);
    return run->out;
  };
  const std::string make = R"(
def arrays():
    for t in ['?','b','h','i','q','B','H','I','Q','f','d','>h','>i','>q','>H','>Q','>f','>d']:
        for shape in [(), (0,), (7,), (2,3), (2,0,3), (2,3,4), (1,2,1,2,1,2,1,2)]:
            for order in 'CF':
                n = int(np.prod(shape))
                yield np.array((np.arange(n) * 37) % 101, dtype=t).reshape(shape, order=order)
)";
  python(make + R"(
for save, name in ((np.savez, 'plain'), (np.savez_compressed, 'packed')):
    save(d + '/' + name + '.npz', *arrays())
from numpy.lib import format
with zipfile.ZipFile(d + '/versions.npz', 'w') as z:
    for i, a in enumerate(arrays()):
        b = io.BytesIO()
        format.write_array(b, a, version=[(1,0),(2,0),(3,0)][i % 3])
        z.writestr('arr_%d.npy' % i, b.getvalue())
)");
  std::size_t total = 0;
  for (const char* name : {"plain", "packed", "versions"}) {
    const auto read = get_npz(directory->path() / (std::string(name) + ".npz"));
    REQUIRE_OK(read);
    NpzWriter writer(name[0] == 'p' ? NpzWriter::Method::deflated : NpzWriter::Method::stored);
    for (const auto& [entry, array] : *read) {
      const auto add = [&]<class T>(T) {
        if (array.type() != type_of<T>()) return;
        ++total;
        REQUIRE_OK(writer.add(entry, *array.as<T>()));
      };
      add(bool{}), add(std::int8_t{}), add(std::int16_t{}), add(std::int32_t{}), add(std::int64_t{});
      add(std::uint8_t{}), add(std::uint16_t{}), add(std::uint32_t{}), add(std::uint64_t{});
      add(float{}), add(double{});
    }
    REQUIRE_OK(put_file(directory->path() / "back.npz", *writer.finish()));
    const auto count = python(make + R"(
back = np.load(d + '/back.npz')
n = 0
for i, a in enumerate(arrays()):
    b = back['arr_%d' % i]
    assert b.dtype == a.dtype.newbyteorder('='), (i, a.dtype, b.dtype)
    assert b.shape == a.shape and np.array_equal(a, b), i
    n += 1
assert n == len(back.files)
print(n)
)");
    CHECK(std::stoul(count) == read->size());
  }
  proof::figure("files-both-ways", static_cast<double>(total), "arrays");
}
