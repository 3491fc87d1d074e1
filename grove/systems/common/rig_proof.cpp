#include <cstring>

#include "grove/base/test/proof.hpp"
#include "grove/systems/common/rig.hpp"

namespace grove::sys {
namespace {

RigOptions rig_kernel() {
  RigOptions options;
  options.kernel = GROVE_RIG_KERNEL;
  return options;
}

/// Past the four lines that the kernel greets with.
Result<Rig> started(const RigOptions& options) {
  GROVE_TRY(Rig rig, Rig::start(options));
  for (int i = 0; i < 4; ++i) GROVE_CHECK(rig.line());
  return rig;
}

}  // namespace

TEST_CASE("a kernel boots in four and five levels, traps, shares memory and ends with its status") {
  if (!proof::need("qemu-system-x86_64", "qemu-system-x86")) return;
  for (const bool five : {false, true}) {
    RigOptions options = rig_kernel();
    options.command_line = "one two";
    options.cpu = five ? "max" : "max,la57=off";
    const auto start = std::chrono::steady_clock::now();
    auto rig = Rig::start(options);
    REQUIRE_OK(rig);
    CHECK(*rig->line() == "command line: one two");
    proof::figure(five ? "boot-five-levels" : "boot-four-levels",
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), "s");
    const std::string ram = *rig->line();
    REQUIRE(ram.starts_with("ram: "));
    CHECK(std::stoull(ram.substr(5)) > options.memory_bytes - (2 << 20));
    CHECK(*rig->line() == (five ? "five levels: yes" : "five levels: no"));
    CHECK(*rig->line() == "constructed: 42");
    REQUIRE_OK(rig->send("trap\n"));
    CHECK(*rig->line() == "traps: 1");
    std::uint64_t value = 41;
    std::memcpy(rig->memory().data() + 0x800000, &value, sizeof value);
    REQUIRE_OK(rig->send("poke\n"));
    CHECK(*rig->line() == "poked");
    std::memcpy(&value, rig->memory().data() + 0x800000, sizeof value);
    CHECK(value == 42);
    const auto seen = rig->monitor("xp /1gx 0x800000");
    REQUIRE_OK(seen);
    CHECK(seen->find("0x000000000000002a") != std::string::npos);
    REQUIRE_OK(rig->send("bye\n"));
    CHECK(*rig->wait() == 7);
    CHECK_FAILS(rig->line(), Errc::closed);
  }
}

TEST_CASE("a panic, an unexpected trap and a triple fault are told apart") {
  if (!proof::need("qemu-system-x86_64", "qemu-system-x86")) return;
  for (const std::string_view order : {"panic\n", "fault\n", "reset\n"}) {
    auto rig = started(rig_kernel());
    REQUIRE_OK(rig);
    REQUIRE_OK(rig->send(order));
    const auto status = rig->wait();
    if (order == "reset\n") {
      CHECK_FAILS(status, Errc::protocol);
    } else {
      REQUIRE_OK(status);
      CHECK(*status == 127);
      const std::string line = *rig->line();
      if (order == "fault\n")
        CHECK(line.starts_with("trap 0xe error 0x2 rip 0x10"));
      else
        CHECK(line == "panic: asked to");
    }
  }
}

TEST_CASE("with the instruction clock two runs take the same number of ticks") {
  if (!proof::need("qemu-system-x86_64", "qemu-system-x86")) return;
  std::string first;
  for (int run = 0; run < 2; ++run) {
    RigOptions options = rig_kernel();
    options.instruction_clock = true;
    auto rig = started(options);
    REQUIRE_OK(rig);
    REQUIRE_OK(rig->send("count\n"));
    const std::string ticks = *rig->line();
    CHECK(std::stoull(ticks.substr(7)) >= 2000);
    if (run == 0) first = ticks;
    CHECK(ticks == first);
  }
}

TEST_CASE("what can't start says so") {
  if (!proof::need("qemu-system-x86_64", "qemu-system-x86")) return;
  RigOptions options = rig_kernel();
  options.cpu = "no-such-cpu";
  const auto rig = Rig::start(options);
  CHECK_FAILS(rig, Errc::unavailable);
  CHECK(rig.error().message().find("no-such-cpu") != std::string::npos);
  options.memory_bytes = 100;
  CHECK_FAILS(Rig::start(options), Errc::invalid_argument);
}

}  // namespace grove::sys
