/* The arithmetic of a ladder and nothing else: skew, two shapes, both sides rounded away, all layers written.
 *
 * No live orders, no post-only clamp, no merging, no limits, no queue kept: what every market maker has to compute at
 * least once per tick. */
#include <math.h>
#include <stdint.h>

enum { NEAR = 8, FAR = 8 };

uint64_t decisions(double mid_ticks, double ratio, uint64_t count) {
    static volatile int64_t price_ticks[2][NEAR + FAR], qty_lots[2][NEAR + FAR];
    double distance[NEAR + FAR];
    for (uint64_t i = 0; i < count; i++) {
        double mid = mid_ticks + (double)(i & 1), reservation = mid - ratio * 0.002 * mid;
        double offset = 0.00033 * mid, step = (0.02 - 0.0067) * mid / (FAR - 1);
        for (int layer = 0; layer < NEAR; layer++, offset *= 1.15)
            distance[layer] = offset;
        for (int layer = 0; layer < FAR; layer++)
            distance[NEAR + layer] = 0.0067 * mid + layer * step;
        for (int side = 0; side < 2; side++)
            for (int layer = 0; layer < NEAR + FAR; layer++) {
                price_ticks[side][layer] = side ? (int64_t)ceil(reservation + distance[layer])
                                                : (int64_t)floor(reservation - distance[layer]);
                qty_lots[side][layer] = layer < NEAR ? 6 : 12;
            }
    }
    return (uint64_t)price_ticks[0][0];
}
