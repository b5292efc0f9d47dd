// The filter transform of every scheme: a linear map from the 9 numbers of a 3x3 filter to TAPS, and its transpose.
#pragma once

#include "element_types.h"

namespace {

// kernel[t, o, c] = sum_k matrix[t, k] weight[o, c, k], with matrix (TAPS, 9) and weight (O, C, 3, 3) float.
//
// Where the taps lie differs by scheme (before the outputs, or between outputs and inputs), so the caller says how far
// apart taps and outputs lie; input channels are always innermost. TAPS is a template argument, which unrolls its loop.
// In the weight, the 9 numbers of one input channel are neighbours; `block` turns CHUNK of them round, so that the
// multiplications run over contiguous channels.
template <class T, int TAPS>
void filter_transform(const float* weight, const float* matrix, T* kernel, long O, long C, long tap_stride, long row_stride) {
#pragma omp parallel for schedule(static)
  for (long o = 0; o < O; o++) {
    const float* in = weight + o * C * 9;
    T* out = kernel + o * row_stride;
    float block[9][CHUNK];
    for (long c0 = 0; c0 < C; c0 += CHUNK) {
      const long width = C - c0 < CHUNK ? C - c0 : CHUNK;
      for (long c = 0; c < width; c++)
        for (int k = 0; k < 9; k++) block[k][c] = in[(c0 + c) * 9 + k];
      for (int t = 0; t < TAPS; t++)
        for (long c = 0; c < width; c++) {
          float sum = 0.f;
          for (int k = 0; k < 9; k++) sum += matrix[t * 9 + k] * block[k][c];
          store(out, t * tap_stride + c0 + c, sum);
        }
    }
  }
}

// weight[o, c, k] = sum_t matrix[t, k] kernel[t, o, c]: the adjoint of filter_transform, for the gradient of the weight. It is
// float whatever the kernel's type, since it belongs to a float32 weight.
template <class T, int TAPS>
void filter_adjoint(const T* kernel, const float* matrix, float* weight, long O, long C, long tap_stride,
                     long row_stride) {
#pragma omp parallel for schedule(static)
  for (long o = 0; o < O; o++) {
    const T* in = kernel + o * row_stride;
    float* out = weight + o * C * 9;
    float block[9][CHUNK];
    for (long c0 = 0; c0 < C; c0 += CHUNK) {
      const long width = C - c0 < CHUNK ? C - c0 : CHUNK;
      for (int k = 0; k < 9; k++)
        for (long c = 0; c < width; c++) block[k][c] = 0.f;
      for (int t = 0; t < TAPS; t++)
        for (long c = 0; c < width; c++) {
          const float g = load(in, t * tap_stride + c0 + c);
          for (int k = 0; k < 9; k++) block[k][c] += matrix[t * 9 + k] * g;
        }
      for (long c = 0; c < width; c++)
        for (int k = 0; k < 9; k++) out[(c0 + c) * 9 + k] = block[k][c];
    }
  }
}

}  // namespace
