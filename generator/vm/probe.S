# A boot sector that goes where a kernel goes - long mode with paging - and leaves by QEMU's isa-debug-exit device.
# acceleration.py holds its bytes; tests/unit/vm/test_acceleration.py assembles this and compares.
#   as --64 -o probe.o probe.S && ld -Ttext 0x7c00 --oformat binary -o probe.bin probe.o
.code16
.globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    # page tables: level 4 at 0x1000, level 3 at 0x2000, level 2 at 0x3000 with one page of 2 MiB
    movw $0x1000, %di
    movw $0x1800, %cx
    cld
    rep stosw
    movw $0x2003, (0x1000)
    movw $0x3003, (0x2000)
    movw $0x0083, (0x3000)
    movl $0x1000, %eax
    movl %eax, %cr3
    # CR4.PAE
    movl %cr4, %eax
    orb $0x20, %al
    movl %eax, %cr4
    # EFER.LME
    movl $0xC0000080, %ecx
    rdmsr
    orb $1, %ah
    wrmsr
    lgdt gdtr
    # CR0.PE and CR0.PG
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmp $8, $long
.code64
long:
    # exit status (1 << 1) | 1
    movb $1, %al
    outb %al, $0xf4
wait:
    hlt
    jmp wait
.balign 8
gdt:
    .quad 0
    .quad 0x00209A0000000000
gdtr:
    .word 15
    .long gdt
.org 510
    .word 0xAA55
