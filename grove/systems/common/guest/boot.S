// Entry of a kernel built by grove_kernel(): QEMU's -kernel loads the ELF and
// jumps here in 32-bit protected mode without paging (Xen PVH boot protocol),
// %ebx = hvm_start_info. Leaves in long mode with the first 8 GiB identity-mapped
// in 1 GiB pages; five-level paging when the processor has it.

    .section .note.pvh, "a", @note
    .align 4
    .long 4, 8, 18                  // name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad _start

    .section .text.boot, "ax"
    .code32
    .globl _start
_start:
    cli
    cld
    movl $boot_stack_top, %esp
    movl %ebx, %esi                 // kept across cpuid

    movl $0x6a0, %edi               // CR4: PAE, OSFXSR, OSXMMEXCPT, PGE
    movl $boot_pml4, %ebp
    xorl %eax, %eax
    cpuid
    cmpl $7, %eax
    jb 1f
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    btl $16, %ecx                   // LA57
    jnc 1f
    orl $0x1000, %edi
    movl $boot_pml5, %ebp
1:  movl %edi, %cr4
    movl %ebp, %cr3
    movl $0xc0000080, %ecx          // EFER: LME, NXE
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax          // CR0: PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x08, $2f

    .code64
2:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_top, %esp
    xorl %ebp, %ebp
    movl %esi, %edi
    call grove_guest_start
3:  hlt
    jmp 3b

    .section .data
    .align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        // code, ring 0
    .quad 0x00cf93000000ffff        // data, ring 0
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .quad boot_gdt

    .align 4096
boot_pml5:
    .quad boot_pml4 + 7
    .fill 511, 8, 0
boot_pml4:
    .quad boot_pdpt + 7
    .fill 511, 8, 0
boot_pdpt:
    .set gib, 0
    .rept 8
    .quad (gib << 30) + 0x83
    .set gib, gib + 1
    .endr
    .fill 504, 8, 0

    .section .bss
    .align 4096
    .skip 65536
boot_stack_top:

// One 16-byte stub a vector; all meet in trap_common with vector and error code
// pushed, and the frame laid out as grove::sys::guest::TrapFrame.
    .section .text
    .globl grove_guest_stubs
    .align 16
grove_guest_stubs:
    .set vector, 0
    .rept 256
    .align 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx
    andq $-16, %rsp
    call grove_guest_trap
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
