/*
 * A guest program whose every load and store is known: test_trace_plugin.py says what they are. Built by hand
 * at a fixed address, its code writable, without a library.
 */
    .globl _start
    .section .code, "awx", @progbits
_start:
    /* COUNT times: store the counter times a constant to buffer[i], load it back. */
    lea buffer(%rip), %rdi
    xor %ecx, %ecx
    mov $0x9e3779b97f4a7c15, %rdx
loop:
    mov %rcx, %rax
    imul %rdx, %rax
    mov %rax, (%rdi,%rcx,8)
    mov (%rdi,%rcx,8), %rbx
    inc %rcx
    cmp $COUNT, %rcx
    jne loop
    /* Sizes 1, 2, 4, 16. */
    movb $0x11, (%rdi)
    movw $0x2222, 2(%rdi)
    movl $0x44444444, 4(%rdi)
    movdqa 16(%rdi), %xmm0
    movdqa %xmm0, 32(%rdi)
    /* Code that changes the instruction behind it, each time round. */
    xor %ecx, %ecx
change:
    mov %ecx, patched+1(%rip)
patched:
    mov $0, %eax
    inc %ecx
    cmp $100, %ecx
    jne change
    mov $60, %eax
    xor %edi, %edi
    syscall
    .bss
    .balign 4096
buffer:
    .skip 8 * COUNT
