// Batch normalisation, gain, bias and ReLU: two passes over the features forward, two backward. Features are (N, P, C)
// with P = H W pixels; batch_norm.py derives the formulas and does what is left to do on (N, C) and (C,).
#pragma once

#include "element_types.h"

namespace {

// sums[n, c] = sum_p (x - shift[c]),  squares[n, c] = sum_p (x - shift[c])^2, both (N, C).
//
// By image, not over the batch: an (image, chunk of channels) is a task without shared sums, so the result does not
// depend on the number of threads; the caller adds up the N rows.
template <class T>
void image_moments(const T* x, const float* shift, float* sums, float* squares, long N, long P, long C) {
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long c0 = 0; c0 < C; c0 += CHUNK) {
      const long width = C - c0 < CHUNK ? C - c0 : CHUNK;
      double sum[CHUNK] = {}, square[CHUNK] = {};
      for (long p0 = 0; p0 < P; p0 += BLOCK) {
        float a[CHUNK] = {}, b[CHUNK] = {};
        for (long p = p0; p < P && p < p0 + BLOCK; p++) {
          const T* row = x + (n * P + p) * C + c0;
          for (long c = 0; c < width; c++) {
            const float value = load(row, c) - shift[c0 + c];
            a[c] += value;
            b[c] += value * value;
          }
        }
        for (long c = 0; c < width; c++) sum[c] += a[c], square[c] += b[c];
      }
      for (long c = 0; c < width; c++) sums[n * C + c0 + c] = sum[c], squares[n * C + c0 + c] = square[c];
    }
}

// y = relu(x scale + offset), with scale and offset (N, C): for each image and channel, normalisation, gain and bias
// are one affine map.
template <class T>
void scale_relu(const T* x, const float* scale, const float* offset, T* y, long N, long P, long C) {
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long p = 0; p < P; p++) {
      const T* in = x + (n * P + p) * C;
      T* out = y + (n * P + p) * C;
      const float *a = scale + n * C, *b = offset + n * C;
      for (long c = 0; c < C; c++) {
        const float value = load(in, c) * a[c] + b[c];
        store(out, c, value < 0.f ? 0.f : value);  // not fmax, which would turn a NaN into 0 and hide a diverged run
      }
    }
}

// sums[n, c] = sum_p m g,  products[n, c] = sum_p m g (x - mean[c]), both (N, C), where g = dL/dy and m is 1 where the
// ReLU passed its input on. m is computed again from x: the forward pass then keeps neither y nor a mask.
template <class T>
void scale_relu_sums(const T* g, const T* x, const float* scale, const float* offset, const float* mean, float* sums,
                     float* products, long N, long P, long C) {
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long c0 = 0; c0 < C; c0 += CHUNK) {
      const long width = C - c0 < CHUNK ? C - c0 : CHUNK;
      const float *s = scale + n * C + c0, *o = offset + n * C + c0;
      double sum[CHUNK] = {}, product[CHUNK] = {};
      for (long p0 = 0; p0 < P; p0 += BLOCK) {
        float a[CHUNK] = {}, b[CHUNK] = {};
        for (long p = p0; p < P && p < p0 + BLOCK; p++) {
          const long at = (n * P + p) * C + c0;
          for (long c = 0; c < width; c++) {
            const float value = load(x + at, c);
            const float grad = value * s[c] + o[c] > 0.f ? load(g + at, c) : 0.f;
            a[c] += grad;
            b[c] += grad * (value - mean[c0 + c]);
          }
        }
        for (long c = 0; c < width; c++) sum[c] += a[c], product[c] += b[c];
      }
      for (long c = 0; c < width; c++) sums[n * C + c0 + c] = sum[c], products[n * C + c0 + c] = product[c];
    }
}

// gx = m g scale - (x - mean) slope - level, with mean, slope and level (C,): dL/dx, see _BatchNormReLU.backward.
template <class T>
void scale_relu_backward(const T* g, const T* x, const float* scale, const float* offset, const float* mean,
                         const float* slope, const float* level, T* gx, long N, long P, long C) {
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long p = 0; p < P; p++) {
      const long at = (n * P + p) * C;
      const float *s = scale + n * C, *o = offset + n * C;
      for (long c = 0; c < C; c++) {
        const float value = load(x + at, c);
        const float grad = value * s[c] + o[c] > 0.f ? load(g + at, c) : 0.f;
        store(gx + at, c, grad * s[c] - ((value - mean[c]) * slope[c] + level[c]));
      }
    }
}

}  // namespace
