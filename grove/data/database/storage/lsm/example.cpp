#include "grove/base/example.hpp"
#include "grove/data/database/storage/lsm/lsm.hpp"

namespace grove::lsm {

// A page counter: visits by day and page, totals that merge without reading.
Result<void> example(const ExampleContext& context) {
  using DayAndPage = std::tuple<std::uint32_t, std::string>;
  const Family<DayAndPage, std::uint64_t> kByDay{{"by_day", {.merge = add<std::uint64_t>()}}};
  const Family<std::string, std::uint64_t> kTotals{{"totals", {.merge = add<std::uint64_t>()}}};

  GROVE_TRY(auto db, Db::open(context.directory / "visits", {.families = {kByDay, kTotals}}));
  GROVE_TRY(auto by_day, db.family(kByDay));
  GROVE_TRY(auto totals, db.family(kTotals));

  for (const auto& [day, page] : {DayAndPage{20261123, "/"}, {20261123, "/map"}, {20261124, "/"}}) {
    WriteBatch visit;  // both families, or neither
    visit.merge(by_day, {day, page}, 1);
    visit.merge(totals, page, 1);
    GROVE_CHECK(db.write(visit, Durability::synced));
  }

  context.out << "on 2026-11-23:\n";
  auto day = by_day.scan({.from = DayAndPage{20261123, ""}, .to = DayAndPage{20261124, ""}});
  while (day.next()) context.out << "  " << std::get<1>(day.key()) << "  " << day.value() << '\n';
  GROVE_CHECK(day.status());

  GROVE_TRY(const auto total, totals.get("/"));
  context.out << "/ in all: " << total.value_or(0) << " (it grows with every run: the directory is kept)\n";
  return {};
}

}  // namespace grove::lsm
