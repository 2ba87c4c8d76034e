// Counting words: of one piece of the input, and of all pieces together. Words are runs of ASCII letters, lower-cased.
//
// The input is one sequence of bytes, cut into pieces anywhere, so words straddle pieces. A piece is counted without
// its neighbours: the letters at its two ends are given apart, and WordTotals joins them once the neighbours are there.
// Threads: CountPiece any; the classes are used by one thread.
#ifndef RUSTYRAY_EXAMPLES_WORD_COUNTS_H_
#define RUSTYRAY_EXAMPLES_WORD_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace word_count {

// Words and how often each was seen: a hash table, in little memory: about 40 bytes a word and its letters.
class WordTable {
 public:
  struct Word {
    const char* letters;
    std::uint32_t length;
    std::uint64_t count;

    std::string_view text() const { return {letters, length}; }
  };

  // `expected`: how many different words there may be, to save growing.
  explicit WordTable(std::size_t expected = 0);

  static constexpr std::uint64_t kHashSeed = 0x9E3779B97F4A7C15;
  // The hash of a word is this over its letters, from kHashSeed on.
  static std::uint64_t HashLetter(std::uint64_t hash, char letter) {
    return (hash ^ static_cast<unsigned char>(letter)) * 0x9FB21C651E98DF25;
  }
  static std::uint64_t Hash(std::string_view word);

  // `word` has less than 4 GiB.
  void Add(std::string_view word, std::uint64_t hash, std::uint64_t count);

  // Says that a word with this hash will be added soon: it is fetched from memory meanwhile.
  void Expect(std::uint64_t hash) const { __builtin_prefetch(&slots_[First(hash)]); }

  // In the order in which they were first seen.
  const std::deque<Word>& words() const { return words_; }

 private:
  struct Slot {
    std::uint32_t hash;  // the high half, the better one; a word is looked at only if that is equal
    std::uint32_t word;  // 1 + an index into words_; 0: free
  };
  std::size_t First(std::uint64_t hash) const { return (hash >> 32) & (slots_.size() - 1); }
  void Grow();
  const char* Keep(std::string_view word);

  // Deques and blocks do not move when they grow, which would take twice the memory.
  std::deque<Word> words_;
  std::vector<Slot> slots_;  // a power of two of them, linear probing
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* block_ = nullptr;
  std::size_t block_left_ = 0;
};

// The words of `piece`, encoded: never longer than the piece by more than 16 bytes, so that whoever has room for a
// piece has room for its counts. `sequence` tells the pieces of the input apart, from 0 without gaps.
//
// The encoding is a list of (letters, number): (the letters at the front, sequence), (those at the back, 1 if the piece
// is nothing but letters), and then each word with its count. Numbers are bytes over 127 of six bits, lowest first; 64
// is added to all but the last.
std::string CountPiece(const std::string& piece, std::uint64_t sequence);

// Merges what CountPiece gives, in any order.
class WordTotals {
 public:
  void Merge(std::string_view encoded);
  // After the last piece: the word that the input ends with.
  void Finish();

  std::uint64_t words() const { return words_; }
  std::size_t different_words() const { return table_.words().size(); }
  // By count down, then by word; all, or the first `most` of them. They live as long as this, unchanged.
  std::vector<const WordTable::Word*> Top(std::size_t most) const;

 private:
  struct Ends {
    std::string front;
    std::string back;
    bool only_letters = false;
  };
  void AddOne(std::string_view word);

  WordTable table_;
  std::uint64_t words_ = 0;
  // Pieces [0, next_) are joined; the word at the end of them may go on.
  std::uint64_t next_ = 0;
  std::string open_word_;
  std::map<std::uint64_t, Ends> waiting_;
};

}  // namespace word_count

#endif  // RUSTYRAY_EXAMPLES_WORD_COUNTS_H_
