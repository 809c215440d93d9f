// GELU, tanh form: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), with ½ (1 + tanh u) = 1 / (1 + exp(−2u)).
#pragma once
#include "common.cuh"

// −2 u / ln 2 is x (kLinear + kCubic x²).
DEVICE float gelu(float x) {
    constexpr float kLinear = -2 * kLog2e * 0.7978845608028654f, kCubic = kLinear * 0.044715f;
    return x * reciprocal_approx(1 + exp2_approx(x * (kLinear + kCubic * (x * x))));
}
