/* A level of an order book, as the decoder writes it and the book takes it. */
#ifndef PHX_LEVEL_H
#define PHX_LEVEL_H

#include <stdint.h>

typedef struct {
    int64_t price_ticks;
    int64_t qty_lots;            /* 0 = the level is gone */
} phx_level;

#endif
