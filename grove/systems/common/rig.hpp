#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/base/process.hpp"

namespace grove::sys {

struct RigOptions {
  std::filesystem::path kernel;  ///< Built by grove_kernel() (kernel.cmake).
  std::string command_line;
  /// Of RAM, below 2.75 GiB, where a q35 machine has it in one piece.
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;
  std::string cpu = "max";  ///< `max,la57=off` for four-level paging. 1 GiB pages are needed to boot.
  unsigned processors = 1;
  bool instruction_clock = false;      ///< -icount shift=0: one instruction is one nanosecond of the guest's time.
  std::vector<std::string> arguments;  ///< Further ones for QEMU: devices, drives.
};

/// A kernel on an emulated PC (QEMU, TCG, q35), seen from the host: its serial
/// console line by line, its memory as bytes, QEMU's monitor, its exit status.
/// Every call that waits has a limit (`timeout` after it). The machine is killed
/// when this object goes, or when the process that holds it dies in any way. Not
/// thread safe.
class Rig {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// `not_found` when qemu-system-x86_64 isn't installed; `unavailable`, with
  /// QEMU's own words, when it doesn't start.
  static Result<Rig> start(const RigOptions& options);
  Rig(Rig&& other) noexcept;
  Rig& operator=(Rig&&) = delete;
  ~Rig();

  /// The next line that the kernel prints, without its end; `closed` when the
  /// machine has ended.
  Result<std::string> line(Milliseconds limit = Milliseconds(60'000));
  /// Bytes to its serial port.
  Result<void> send(std::string_view text);
  /// What QEMU's monitor answers: `info tlb`, `info registers`, `xp /4gx 0x1000`.
  Result<std::string> monitor(std::string_view command, Milliseconds limit = Milliseconds(60'000));
  /// The guest's RAM: the index is the physical address. Shared with the running
  /// guest: agree through `line` and `send` on who may touch what and when.
  std::span<std::byte> memory() const noexcept { return memory_; }
  /// Waits for guest::exit() and gives its status (127: a panic, printed before).
  /// `protocol` when it went in another way, such as a triple fault.
  Result<int> wait(Milliseconds limit = Milliseconds(60'000));
  /// All that the kernel has printed and `line` has returned so far.
  const std::string& transcript() const noexcept { return transcript_; }

 private:
  /// One of QEMU's sockets and what came from it unread.
  struct Stream {
    int fd = -1;
    std::string pending;
    Result<void> fill(std::chrono::steady_clock::time_point deadline);
  };

  explicit Rig(TempDir directory) : directory_(std::move(directory)) {}
  Result<void> launch(const RigOptions& options);
  Result<int> accept_from(int listener);
  std::string log() const;

  TempDir directory_;
  pid_t pid_ = -1;
  Stream serial_;
  Stream monitor_;
  std::span<std::byte> memory_;
  std::string transcript_;
};

}  // namespace grove::sys
