// What page_tables_proof.cpp runs on the rig: carries out orders on the tables
// that the processor is using, and touches memory to ask the processor itself.
#include <array>

#include "grove/systems/common/guest/guest.hpp"
#include "grove/systems/kernel/memory/page-tables/guest/orders.hpp"
#include "grove/systems/kernel/memory/page-tables/page_tables.hpp"

extern "C" {
std::uint64_t grove_touch(std::uint64_t address, std::uint64_t access, std::uint64_t word);
extern const char grove_touch_done[];
extern const char grove_touch_user[];
std::uint64_t grove_touch_stack;
}

asm(R"(
    .text
    .globl grove_touch, grove_touch_done, grove_touch_user
grove_touch:                        # %rdi: address, %rsi: Access, %rdx: to write; what was read in %rax
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, grove_touch_stack(%rip)
    xor %eax, %eax
    cmp $3, %esi
    jae 3f
    cmp $1, %esi
    je 1f
    ja 2f
    mov (%rdi), %rax
    jmp grove_touch_done
1:  mov %rdx, (%rdi)
    mov (%rdi), %rax
    jmp grove_touch_done
2:  jmp *%rdi                       # comes back through int $0x80
3:  push $0x1b                      # ss, rsp, rflags, cs, rip of ring 3
    push $0
    push $2
    push $0x23
    mov $0x700000000000, %rcx
    push %rcx
    iretq
grove_touch_done:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .balign 4096
grove_touch_user:
    cmp $4, %esi
    je 4f
    ja 5f
    mov (%rdi), %rax
    int $0x80
4:  mov %rdx, (%rdi)
    mov (%rdi), %rax
    int $0x80
5:  jmp *%rdi
    .balign 4096
)");

namespace grove::page_tables {
namespace {

using namespace orders;
namespace guest = sys::guest;
namespace x86 = sys::x86;

/// Hands out frames of a fixed region; a returned one is the next to go out.
class FramePool {
 public:
  std::optional<PhysAddr> allocate() {
    if (allowance_ == 0) return std::nullopt;
    --allowance_;
    ++used_;
    if (returned_ > 0) return free_[--returned_];
    return PhysAddr(kFrames + fresh_++ * kFrameBytes);
  }
  void free(PhysAddr frame) {
    free_[returned_++] = frame;
    --used_;
    ++allowance_;
  }
  void allow(std::uint64_t more) { allowance_ = more < kFrameCount - used_ ? more : kFrameCount - used_; }
  std::uint32_t used() const { return used_; }

 private:
  std::array<PhysAddr, kFrameCount> free_;
  std::size_t returned_ = 0;
  std::uint64_t fresh_ = 0;
  std::uint64_t allowance_ = kFrameCount;
  std::uint32_t used_ = 0;
};
FramePool frames;

struct Fault {
  bool happened;
  std::uint64_t error_code;
  std::uint64_t address;
} fault;

void resume_in_kernel(guest::TrapFrame& frame) {
  frame.rip = reinterpret_cast<std::uint64_t>(grove_touch_done);
  frame.cs = guest::kKernelCode;
  frame.ss = guest::kKernelData;
  frame.rsp = grove_touch_stack;
  frame.rflags = 2;
}

template <unsigned Levels>
class Judge {
 public:
  using Table = PageTable<Levels, FramePool, OffsetMap>;
  Judge() : table_(PhysAddr(x86::read_cr3() & ~0xfffULL), frames, OffsetMap(0)) {}

  Outcome carry_out(const Order& order) {
    Outcome outcome{};
    const VirtAddr virt(order.virt);
    const auto size = static_cast<PageSize>(order.size);
    const auto note = [&](const std::expected<Flush, MapError>& result) {
      if (result)
        apply(*result, outcome);
      else
        outcome.status = 1 + static_cast<std::uint32_t>(result.error());
    };
    switch (order.kind) {
      case Kind::map: note(table_.map(virt, PhysAddr(order.phys), size, Flags(order.flags))); break;
      case Kind::protect: note(table_.protect(virt, size, Flags(order.flags))); break;
      case Kind::split: note(table_.split(virt)); break;
      case Kind::unmap:
        if (const auto result = table_.unmap(virt, size)) {
          apply(result->flush, outcome);
          outcome.value = result->phys.value();
          outcome.flags = result->flags.bits();
        } else {
          outcome.status = 1 + static_cast<std::uint32_t>(result.error());
        }
        break;
      case Kind::prune:
        if (auto pruned = table_.prune(virt, order.phys)) {
          outcome.value = pruned->count();
          apply(pruned->flush(), outcome);
          std::move(*pruned).release(frames);
        } else {
          outcome.status = 1 + static_cast<std::uint32_t>(pruned.error());
        }
        break;
      case Kind::frames: frames.allow(order.phys); break;
      case Kind::touch:
        fault = {};
        outcome.value = grove_touch(order.virt, order.size, order.phys);
        if (fault.happened) {
          outcome.status = 1;
          outcome.value = fault.address;
          outcome.flags = fault.error_code;
        }
        break;
    }
    outcome.frames = frames.used();
    return outcome;
  }

  [[noreturn]] void serve() {
    guest::on_trap(14, [](guest::TrapFrame& frame) {
      fault = {true, frame.error_code, x86::read_cr2()};
      resume_in_kernel(frame);
    });
    guest::on_trap(0x80, resume_in_kernel);
    const auto stub = reinterpret_cast<std::uint64_t>(grove_touch_user);
    const auto mapped = table_.map(VirtAddr(kUserStub), PhysAddr(stub), PageSize::k4KiB, kUser);
    if (!mapped) guest::panic(name_of(mapped.error()));
    mapped->ignore();
    guest::print_line("levels ", Levels, " frames ", frames.used());
    for (std::array<char, 32> buffer;;) {
      std::uint64_t count = 0;
      for (const char digit : guest::read_line(buffer)) count = count * 10 + static_cast<std::uint64_t>(digit - '0');
      if (count == 0) guest::exit(0);
      const auto* const orders = reinterpret_cast<const Order*>(kOrders);
      auto* const outcomes = reinterpret_cast<Outcome*>(kOutcomes);
      for (std::uint64_t i = 0; i < count; ++i) outcomes[i] = carry_out(orders[i]);
      guest::print_line("done");
    }
  }

 private:
  static void apply(const Flush& flush, Outcome& outcome) {
    flush.invlpg();
    if (!flush.required()) return;
    outcome.flush_start = flush.start().value();
    outcome.flush_bytes = flush.bytes();
  }

  Table table_;
};

}  // namespace
}  // namespace grove::page_tables

void kernel_main(const grove::sys::guest::BootInfo&) {
  using namespace grove::page_tables;
  if ((x86::read_cr4() & x86::kCr4FiveLevels) != 0) Judge<5>().serve();
  Judge<4>().serve();
}
