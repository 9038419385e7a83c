//! uses: libm: sin, cos, exp, log, pow, fmod, hypot, rounding, infinities
//! args: 0.5
//! args: 1000
//! args: -2
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **given) {
    double x = atof(given[1]);
    printf("%.15g %.15g %.15g\n", sin(x), cos(x), tan(x));
    printf("%.15g %.15g %.15g\n", exp(x), log(fabs(x)), pow(fabs(x), 1.5));
    printf("%.15g %.15g %.15g\n", fmod(x, 0.3), hypot(x, 3), atan2(x, -1));
    printf("%g %g %g %g\n", floor(x), round(x), trunc(x), nearbyint(x + 0.5));
    printf("%d %d %d\n", isinf(exp(x)) != 0, isnan(sqrt(x)) != 0, signbit(-0.0 * x) != 0);
    int exponent;
    double part = frexp(x, &exponent);
    printf("%g %d %g\n", part, exponent, ldexp(part, exponent));
    return 0;
}
