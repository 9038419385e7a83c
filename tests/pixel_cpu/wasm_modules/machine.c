// A stack machine that runs a program of bytes: a switch, and functions behind pointers.
typedef double (*binary)(double, double);

static double add(double a, double b) { return a + b; }
static double subtract(double a, double b) { return a - b; }
static double multiply(double a, double b) { return a * b; }
static double divide(double a, double b) { return a / b; }

static binary const operations[] = {add, subtract, multiply, divide};
static const char program[] = "xx*1+x2-/xy*+";

__attribute__((export_name("run"))) double run(double x, double y) {
    double stack[16];
    int top = 0;
    for (const char *at = program; *at; at++) switch (*at) {
        case 'x': stack[top++] = x; break;
        case 'y': stack[top++] = y; break;
        case '1': case '2': stack[top++] = *at - '0'; break;
        case '+': case '-': case '*': case '/': {
            int which = *at == '+' ? 0 : *at == '-' ? 1 : *at == '*' ? 2 : 3;
            top--;
            stack[top - 1] = operations[which](stack[top - 1], stack[top]);
            break;
        }
        default: __builtin_trap();
    }
    return stack[0];
}
