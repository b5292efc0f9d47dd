// Element-wise halves of the fast convolutions on a CPU, and batch normalisation with ReLU; channels-last; the products are matrix multiplications
// elsewhere. Plain C entry points without PyTorch's headers: compiled in seconds and loaded by native.py. What each
// computes is defined in winograd.py, whose PyTorch versions are the second source in the tests.
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

struct bf16 {
  uint16_t bits;
};

inline float load(const float* p, long i) { return p[i]; }
inline float load(const bf16* p, long i) {
  uint32_t wide = uint32_t(p[i].bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
inline void store(float* p, long i, float value) { p[i] = value; }
inline void store(bf16* p, long i, float value) {  // to nearest even, as PyTorch rounds
  uint32_t wide;
  std::memcpy(&wide, &value, 4);
  uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  p[i].bits = value != value ? uint16_t(0x7fc0) : uint16_t(rounded);
}

constexpr long BLOCK = 64;  // summands in float32 before float64 takes them
constexpr long CHUNK = 64;  // channels at a time: the working set of a row stays in the first-level cache

// y (N, 2H, 2W, C) from maps (N, H, W, 3, 3, C): winograd.upsample_transform
template <class T>
void upsample_transform(const T* maps, const float* bias, T* y, long N, long H, long W, long C) {
#pragma omp parallel
  {
    std::vector<float> buffer(3 * (W + 2) * CHUNK);
#pragma omp for collapse(2) schedule(static)
    for (long n = 0; n < N; n++)
      for (long i = 0; i < H; i++)
        for (long c0 = 0; c0 < C; c0 += CHUNK) {
          const long width = C - c0 < CHUNK ? C - c0 : CHUNK;
          for (long p = 0; p < 2; p++) {
            const long a = 1 + p, other = p ? i + 1 : i - 1;  // Q of the row above, or R of the row below
            const bool inside = other >= 0 && other < H;
            for (long b = 0; b < 3; b++) {
              float* rows = buffer.data() + b * (W + 2) * CHUNK;
              std::memset(rows, 0, CHUNK * 4);
              std::memset(rows + (W + 1) * CHUNK, 0, CHUNK * 4);
              for (long j = 0; j < W; j++) {
                const T* here = maps + ((n * H + i) * W + j) * 9 * C + c0;
                const T* there = maps + ((n * H + (inside ? other : i)) * W + j) * 9 * C + c0;
                const float keep = inside ? 1.f : 0.f;
                float* out = rows + (j + 1) * CHUNK;
                for (long c = 0; c < width; c++)
                  out[c] = load(here, b * C + c) - load(here, (3 * a + b) * C + c) +
                           keep * load(there, (3 * a + b) * C + c);
              }
            }
            const float *P = buffer.data(), *Q = P + (W + 2) * CHUNK, *R = Q + (W + 2) * CHUNK;
            for (long j = 0; j < W; j++) {
              T* out = y + ((n * 2 * H + 2 * i + p) * 2 * W + 2 * j) * C + c0;
              const long at = (j + 1) * CHUNK;
              for (long c = 0; c < width; c++) {
                const float base = P[at + c] + (bias ? bias[c0 + c] : 0.f);
                store(out, c, base - Q[at + c] + Q[at - CHUNK + c]);
                store(out, C + c, base - R[at + c] + R[at + CHUNK + c]);
              }
            }
          }
        }
  }
}

// maps (N, H, W, 3, 3, C) from y (N, 2H, 2W, C): winograd.upsample_adjoint, its adjoint
template <class T>
void upsample_adjoint(const T* y, T* maps, long N, long H, long W, long C) {
#pragma omp parallel
  {
    std::vector<float> buffer(3 * (2 * W + 2) * CHUNK);
#pragma omp for collapse(2) schedule(static)
    for (long n = 0; n < N; n++)
      for (long i = 0; i < H; i++)
        for (long c0 = 0; c0 < C; c0 += CHUNK) {
          const long width = C - c0 < CHUNK ? C - c0 : CHUNK, stride = (2 * W + 2) * CHUNK;
          float* rows = buffer.data();
          for (long a = 0; a < 3; a++) {
            std::memset(rows + a * stride, 0, CHUNK * 4);
            std::memset(rows + a * stride + (2 * W + 1) * CHUNK, 0, CHUNK * 4);
          }
          const T* base = y + n * 4 * H * W * C + c0;
          const float down = i + 1 < H ? 1.f : 0.f, up = i > 0 ? 1.f : 0.f;
          for (long x = 0; x < 2 * W; x++) {
            const T* even = base + (2 * i * 2 * W + x) * C;
            const T* odd = even + 2 * W * C;
            const T* after = i + 1 < H ? odd + 2 * W * C : odd;
            const T* before = i > 0 ? even - 2 * W * C : even;
            float *P = rows + (x + 1) * CHUNK, *Q = P + stride, *R = Q + stride;
            for (long c = 0; c < width; c++) {
              const float e = load(even, c), o = load(odd, c);
              P[c] = e + o;
              Q[c] = down * load(after, c) - e;
              R[c] = up * load(before, c) - o;
            }
          }
          for (long j = 0; j < W; j++) {
            T* out = maps + ((n * H + i) * W + j) * 9 * C + c0;
            for (long a = 0; a < 3; a++) {
              const float* even = rows + a * stride + (2 * j + 1) * CHUNK;
              for (long c = 0; c < width; c++) {
                const float e = even[c], o = even[CHUNK + c];
                store(out, 3 * a * C + c, e + o);
                store(out, (3 * a + 1) * C + c, even[2 * CHUNK + c] - e);
                store(out, (3 * a + 2) * C + c, even[c - CHUNK] - o);
              }
            }
          }
        }
  }
}

// tiles (16, N H/2 W/2, C) from x (N, H, W, C): winograd.input_transform
template <class T>
void winograd_input(const T* x, T* tiles, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long i = 0; i < TH; i++)
      for (long j = 0; j < TW; j++) {
        const T* at[16];
        float keep[16];
        for (long r = 0; r < 4; r++)
          for (long s = 0; s < 4; s++) {
            const long h = 2 * i - 1 + r, w = 2 * j - 1 + s;
            const bool inside = h >= 0 && h < H && w >= 0 && w < W;
            keep[4 * r + s] = inside ? 1.f : 0.f;
            at[4 * r + s] = x + ((n * H + (inside ? h : 2 * i)) * W + (inside ? w : 2 * j)) * C;
          }
        T* out = tiles + ((n * TH + i) * TW + j) * C;
#pragma omp simd
        for (long c = 0; c < C; c++) {
          float d[4][4], rows[4][4];
          for (int r = 0; r < 4; r++)
            for (int s = 0; s < 4; s++) d[r][s] = keep[4 * r + s] * load(at[4 * r + s], c);
          for (int s = 0; s < 4; s++) {
            rows[0][s] = d[0][s] - d[2][s];
            rows[1][s] = d[1][s] + d[2][s];
            rows[2][s] = d[2][s] - d[1][s];
            rows[3][s] = d[1][s] - d[3][s];
          }
          for (int r = 0; r < 4; r++) {
            store(out, (4 * r + 0) * plane + c, rows[r][0] - rows[r][2]);
            store(out, (4 * r + 1) * plane + c, rows[r][1] + rows[r][2]);
            store(out, (4 * r + 2) * plane + c, rows[r][2] - rows[r][1]);
            store(out, (4 * r + 3) * plane + c, rows[r][1] - rows[r][3]);
          }
        }
      }
}

// x (N, H, W, C) from tiles (16, N H/2 W/2, C): the adjoint of winograd_input, gathered pixel pair by pixel pair
template <class T>
void winograd_input_adjoint(const T* tiles, T* x, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel
  {
    std::vector<float> buffer(4 * (W + 2) * C);  // rows 2i-1 .. 2i+2 of one row of tiles
    std::vector<float> carry(2 * (W + 2) * C);   // its rows 2i+1, 2i+2, to be added to the next row of tiles
#pragma omp for schedule(static)
    for (long n = 0; n < N; n++) {
      std::memset(carry.data(), 0, carry.size() * 4);
      for (long i = 0; i <= TH; i++) {
        std::memset(buffer.data(), 0, buffer.size() * 4);
        for (long j = 0; i < TH && j < TW; j++) {
          const T* in = tiles + ((n * TH + i) * TW + j) * C;
          float* out = buffer.data() + 2 * j * C;
#pragma omp simd
          for (long c = 0; c < C; c++) {
            float g[4][4], rows[4][4];
            for (int r = 0; r < 4; r++)
              for (int s = 0; s < 4; s++) g[r][s] = load(in, (4 * r + s) * plane + c);
            for (int s = 0; s < 4; s++) {
              rows[0][s] = g[0][s];
              rows[1][s] = g[1][s] - g[2][s] + g[3][s];
              rows[2][s] = g[1][s] + g[2][s] - g[0][s];
              rows[3][s] = -g[3][s];
            }
            for (int r = 0; r < 4; r++) {
              float* row = out + r * (W + 2) * C + c;
              row[0] += rows[r][0];
              row[C] += rows[r][1] - rows[r][2] + rows[r][3];
              row[2 * C] += rows[r][1] + rows[r][2] - rows[r][0];
              row[3 * C] -= rows[r][3];
            }
          }
        }
        // Rows 2i-1 and 2i are whole now: what the tiles above left, and what these add.
        for (long r = 0; r < 2; r++) {
          const long h = 2 * i - 1 + r;
          if (h < 0 || h >= H) continue;
          const float *above = carry.data() + (r * (W + 2) + 1) * C, *here = buffer.data() + (r * (W + 2) + 1) * C;
          T* out = x + (n * H + h) * W * C;
          for (long k = 0; k < W * C; k++) store(out, k, above[k] + here[k]);
        }
        std::memcpy(carry.data(), buffer.data() + 2 * (W + 2) * C, carry.size() * 4);
      }
    }
  }
}

// y (N, H, W, C) from products (16, N H/2 W/2, C): winograd.output_transform
template <class T>
void winograd_output(const T* products, const float* bias, T* y, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long i = 0; i < TH; i++)
      for (long j = 0; j < TW; j++) {
        const T* in = products + ((n * TH + i) * TW + j) * C;
        T* out = y + ((n * H + 2 * i) * W + 2 * j) * C;
#pragma omp simd
        for (long c = 0; c < C; c++) {
          float rows[2][4];
          for (int s = 0; s < 4; s++) {
            const float m0 = load(in, s * plane + c), m1 = load(in, (4 + s) * plane + c);
            const float m2 = load(in, (8 + s) * plane + c), m3 = load(in, (12 + s) * plane + c);
            rows[0][s] = m0 + m1 + m2;
            rows[1][s] = m1 - m2 - m3;
          }
          const float b = bias ? bias[c] : 0.f;
          for (int r = 0; r < 2; r++) {
            store(out, r * W * C + c, b + rows[r][0] + rows[r][1] + rows[r][2]);
            store(out, r * W * C + C + c, b + rows[r][1] - rows[r][2] - rows[r][3]);
          }
        }
      }
}

// products (16, N H/2 W/2, C) from y (N, H, W, C): the adjoint of winograd_output
template <class T>
void winograd_output_adjoint(const T* y, T* products, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long i = 0; i < TH; i++)
      for (long j = 0; j < TW; j++) {
        const T* in = y + ((n * H + 2 * i) * W + 2 * j) * C;
        T* out = products + ((n * TH + i) * TW + j) * C;
#pragma omp simd
        for (long c = 0; c < C; c++) {
          float rows[4][2];
          for (int s = 0; s < 2; s++) {
            const float a = load(in, s * C + c), b = load(in, (W + s) * C + c);
            rows[0][s] = a;
            rows[1][s] = a + b;
            rows[2][s] = a - b;
            rows[3][s] = -b;
          }
          for (int r = 0; r < 4; r++) {
            const float a = rows[r][0], b = rows[r][1];
            store(out, (4 * r + 0) * plane + c, a);
            store(out, (4 * r + 1) * plane + c, a + b);
            store(out, (4 * r + 2) * plane + c, a - b);
            store(out, (4 * r + 3) * plane + c, -b);
          }
        }
      }
}

// kernel (rows, C) blocks from weight (O, C, 3, 3): tap t of (o, c) goes to t * tap_stride + o * row_stride + c
template <class T, int TAPS>
void fold(const float* weight, const float* matrix, T* kernel, long O, long C, long tap_stride, long row_stride) {
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

// weight (O, C, 3, 3) from kernel: the transpose of fold
template <class T, int TAPS>
void fold_transposed(const T* kernel, const float* matrix, float* weight, long O, long C, long tap_stride,
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

// Sums of (x - shift) and of its square over the P pixels of each image of x (N, P, C), each (N, C)
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

// y = relu(x scale + offset), with scale and offset (N, C)
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
        store(out, c, value < 0.f ? 0.f : value);  // lets a NaN through
      }
    }
}

// Sums over pixels of g and of g (x - mean) where the ReLU lets through, each (N, C)
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

// gx = g scale where the ReLU lets through, minus (x - mean) slope + level, with mean, slope and level (C,)
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

#define MAP(name, suffix, T)                                                                  \
  extern "C" void name##_##suffix(const T* in, T* out, long N, long H, long W, long C) { \
    name(in, out, N, H, W, C);                                                           \
  }
#define BIASED_MAP(name, suffix, T)                                                                            \
  extern "C" void name##_##suffix(const T* in, const float* bias, T* out, long N, long H, long W, long C) { \
    name(in, bias, out, N, H, W, C);                                                                        \
  }
#define FOLD(taps, suffix, T)                                                                                  \
  extern "C" void fold##taps##_##suffix(const float* weight, const float* matrix, T* kernel, long O, long C,   \
                                        long tap_stride, long row_stride) {                                    \
    fold<T, taps>(weight, matrix, kernel, O, C, tap_stride, row_stride);                                       \
  }                                                                                                            \
  extern "C" void fold##taps##_transposed_##suffix(const T* kernel, const float* matrix, float* weight,        \
                                                   long O, long C, long tap_stride, long row_stride) {         \
    fold_transposed<T, taps>(kernel, matrix, weight, O, C, tap_stride, row_stride);                            \
  }
#define NORM(suffix, T)                                                                                            \
  extern "C" void image_moments_##suffix(const T* x, const float* shift, float* sums, float* squares, long N,      \
                                         long P, long C) {                                                         \
    image_moments(x, shift, sums, squares, N, P, C);                                                               \
  }                                                                                                                \
  extern "C" void scale_relu_##suffix(const T* x, const float* scale, const float* offset, T* y, long N, long P,   \
                                      long C) {                                                                    \
    scale_relu(x, scale, offset, y, N, P, C);                                                                      \
  }                                                                                                                \
  extern "C" void scale_relu_sums_##suffix(const T* g, const T* x, const float* scale, const float* offset,        \
                                           const float* mean, float* sums, float* products, long N, long P,        \
                                           long C) {                                                               \
    scale_relu_sums(g, x, scale, offset, mean, sums, products, N, P, C);                                           \
  }                                                                                                                \
  extern "C" void scale_relu_backward_##suffix(const T* g, const T* x, const float* scale, const float* offset,    \
                                               const float* mean, const float* slope, const float* level, T* gx,   \
                                               long N, long P, long C) {                                           \
    scale_relu_backward(g, x, scale, offset, mean, slope, level, gx, N, P, C);                                     \
  }
#define ENTRIES(suffix, T)                 \
  NORM(suffix, T)                          \
  BIASED_MAP(upsample_transform, suffix, T)            \
  MAP(upsample_adjoint, suffix, T)                   \
  MAP(winograd_input, suffix, T)              \
  MAP(winograd_input_adjoint, suffix, T)   \
  BIASED_MAP(winograd_output, suffix, T)      \
  MAP(winograd_output_adjoint, suffix, T)  \
  FOLD(9, suffix, T)                       \
  FOLD(16, suffix, T)

ENTRIES(f32, float)
ENTRIES(bf16, bf16)
