// Matrix multiplication in float, c = a b, for processors on which PyTorch's own is slow.
//
// PyTorch multiplies float matrices by MKL, which on an AMD processor with AVX-512 stays within what AVX2 could do:
// 40 % of what such a core can. This is the usual blocked algorithm (Goto and van de Geijn 2008, "Anatomy of
// High-Performance Matrix Multiplication") without intrinsics; the compiler makes whatever vectors the processor has.
#pragma once

#include <omp.h>

#include <algorithm>

namespace {

// ROWS x COLUMNS sums stay in registers while k runs, beside a row of b and one number of a: 28 of 32 registers of 16
// floats, or 12 of 16 registers of 8.
#ifdef __AVX512F__
constexpr long LANES = 16, ROWS = 14;
#else
constexpr long LANES = 8, ROWS = 6;
#endif
constexpr long COLUMNS = 2 * LANES;
typedef float Lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
// A block of b, DEPTH x WIDTH, is copied into panels of COLUMNS and stays in the second-level cache for all rows of a.
constexpr long DEPTH = 256, WIDTH = 8 * COLUMNS;

// A matrix in memory: element (i, j) lies at data[i * row + j * column].
struct Matrix {
  const float* data;
  long row, column;
  const float* at(long i, long j) const { return data + i * row + j * column; }
};

// Always inline: GCC takes a function that only prefetches for one without effect, and drops calls to it.
[[gnu::always_inline]] inline void prefetch(const float* line, long length) {
  for (long k = 0; k < length; k += 16) __builtin_prefetch(line + k);
}

// c[i, :] = sum_k a[i, k] panel[k, :] for R rows and COLUMNS columns; with `add`, on top of what c holds.
template <int R>
void multiply_tile(Matrix a, const float* panel, float* c, long c_row, long depth, bool add) {
  Lanes sums[R][2];
  for (int i = 0; i < R; i++)
    for (int j = 0; j < 2; j++) {
      __builtin_prefetch(c + i * c_row + j * LANES, 1);  // so that the stores below need not wait
      sums[i][j] = add ? *(const Lanes*)(c + i * c_row + j * LANES) : Lanes{};
    }
  for (long k = 0; k < depth; k++) {
    const Lanes left = *(const Lanes*)(panel + k * COLUMNS), right = *(const Lanes*)(panel + k * COLUMNS + LANES);
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
      const float value = *a.at(i, k);
      sums[i][0] += value * left;
      sums[i][1] += value * right;
    }
  }
  for (int i = 0; i < R; i++)
    for (int j = 0; j < 2; j++) *(Lanes*)(c + i * c_row + j * LANES) = sums[i][j];
}

// The same for a number of rows known when running, at most R.
template <int R>
void multiply_rows(long rows, Matrix a, const float* panel, float* c, long c_row, long depth, bool add) {
  if constexpr (R > 1)
    if (rows < R) return multiply_rows<R - 1>(rows, a, panel, c, c_row, depth, add);
  multiply_tile<R>(a, panel, c, c_row, depth, add);
}

// packed (panels, depth, COLUMNS) from b (depth, width); the last panel is filled up with zeros. Lines of b are often a
// page or more apart, where the processor foresees no reading: hence the prefetches.
inline void pack(Matrix b, float* packed, long depth, long width) {
  if (width % COLUMNS) std::fill_n(packed + width / COLUMNS * COLUMNS * depth, depth * COLUMNS, 0.f);
  if (b.column == 1) {
    for (long k = 0; k < depth; k++) {
      prefetch(b.at(std::min(k + 8, depth - 1), 0), width);
      for (long j = 0; j < width; j += COLUMNS)
        std::copy_n(b.at(k, j), std::min(width - j, COLUMNS), packed + j * depth + k * COLUMNS);
    }
  } else {
    for (long j = 0; j < width; j++) {
      prefetch(b.at(0, std::min(j + 4, width - 1)), depth);
      float* out = packed + j / COLUMNS * COLUMNS * depth + j % COLUMNS;
      for (long k = 0; k < depth; k++) out[k * COLUMNS] = *b.at(k, j);
    }
  }
}

// Ask for columns from..to of a few rows of a.
[[gnu::always_inline]] inline void prefetch_share(Matrix a, long rows, long from, long to) {
  if (a.column == 1)
    for (long i = 0; i < rows; i++) prefetch(a.at(i, from), to - from);
  else
    for (long k = from; k < to; k++) __builtin_prefetch(a.at(0, k));
}

// c (M, N) = a (M, K) b (K, N) by one thread, where c has rows of c_row numbers. Each sum runs in the order of k,
// whatever M and N are: how products are grouped into calls and threads changes no bit.
inline void multiply_block(Matrix a, Matrix b, float* c, long c_row, long M, long N, long K) {
  alignas(64) thread_local float packed[DEPTH * WIDTH], edge[ROWS * COLUMNS];
  const long blocks = (M + ROWS - 1) / ROWS;
  for (long j0 = 0; j0 < N; j0 += WIDTH)
    for (long k0 = 0; k0 < K; k0 += DEPTH) {
      const long width = std::min(N - j0, WIDTH), depth = std::min(K - k0, DEPTH);
      const bool add = k0 > 0;
      pack({b.at(k0, j0), b.row, b.column}, packed, depth, width);
      for (long block = 0; block < blocks; block++) {
        const long i0 = M * block / blocks, rows = M * (block + 1) / blocks - i0;
        const Matrix part{a.at(i0, k0), a.row, a.column};
        const Matrix next{a.at(std::min(i0 + rows, M - rows), k0), a.row, a.column};
        for (long j = 0; j < width; j += COLUMNS) {
          prefetch_share(next, rows, depth * j / width, depth * std::min(j + COLUMNS, width) / width);
          float* out = c + i0 * c_row + j0 + j;
          const long columns = std::min(width - j, COLUMNS);
          if (columns == COLUMNS) {
            multiply_rows<ROWS>(rows, part, packed + j * depth, out, c_row, depth, add);
            continue;
          }
          // A tile that hangs over the last column.
          for (long i = 0; add && i < rows; i++) std::copy_n(out + i * c_row, columns, edge + i * COLUMNS);
          multiply_rows<ROWS>(rows, part, packed + j * depth, edge, COLUMNS, depth, add);
          for (long i = 0; i < rows; i++) std::copy_n(edge + i * COLUMNS, columns, out + i * c_row);
        }
      }
    }
}

// c (batch, M, N) = a (batch, M, K) b (batch, K, N); c contiguous, a and b contiguous or transposed.
inline void multiply(Matrix a, Matrix b, float* c, long batch, long M, long N, long K) {
  // Blocks of c, one for each call of multiply_block: tall ones, since each packs b anew, but enough for all threads,
  // and as many for each.
  const long threads = omp_get_max_threads(), panels = (N + COLUMNS - 1) / COLUMNS;
  long down = (M + 1023) / 1024, across = (N + WIDTH - 1) / WIDTH;
  while (batch * across * down < 4 * threads && M / down > 8 * ROWS) down *= 2;
  while (batch * across * down < 8 * threads && batch * across * down % threads && across < panels) across++;
#pragma omp parallel for collapse(3) schedule(dynamic)
  for (long n = 0; n < batch; n++)
    for (long y = 0; y < down; y++)
      for (long x = 0; x < across; x++) {
        const long i = M * y / down, j = panels * x / across * COLUMNS;
        const long rows = M * (y + 1) / down - i, columns = std::min(panels * (x + 1) / across * COLUMNS, N) - j;
        multiply_block({a.at(i, 0) + n * M * K, a.row, a.column}, {b.at(0, j) + n * K * N, b.row, b.column},
                       c + (n * M + i) * N + j, N, rows, columns, K);
      }
}

}  // namespace
