#include "examples/word_counts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <utility>

namespace word_count {
namespace {

// The lower-case letter that a byte stands for; 0: none.
constexpr std::array<char, 256> kLetter = [] {
  std::array<char, 256> letters{};
  for (int i = 0; i < 26; ++i) letters['a' + i] = letters['A' + i] = static_cast<char>('a' + i);
  return letters;
}();

char LetterOf(char byte) { return kLetter[static_cast<unsigned char>(byte)]; }

void AppendNumber(std::uint64_t number, std::string& out) {
  for (; number >= 0x40; number >>= 6) out.push_back(static_cast<char>(0xC0 | (number & 0x3F)));
  out.push_back(static_cast<char>(0x80 | number));
}

void AppendLowered(std::string_view letters, std::string& out) {
  for (const char letter : letters) out.push_back(LetterOf(letter));
}

// Takes one (letters, number) off the front.
std::pair<std::string_view, std::uint64_t> TakePair(std::string_view& encoded) {
  std::size_t at = 0;
  while (at < encoded.size() && static_cast<unsigned char>(encoded[at]) < 0x80) ++at;
  const std::string_view letters = encoded.substr(0, at);
  std::uint64_t number = 0;
  bool more = at < encoded.size();
  for (int shift = 0; more; ++at, shift += 6) {
    number |= static_cast<std::uint64_t>(encoded[at] & 0x3F) << shift;
    more = (encoded[at] & 0x40) != 0;
  }
  encoded.remove_prefix(at);
  return {letters, number};
}

}  // namespace

WordTable::WordTable(std::size_t expected) : slots_(std::bit_ceil(std::max<std::size_t>(expected * 4 / 3, 64))) {}

std::uint64_t WordTable::Hash(std::string_view word) {
  std::uint64_t hash = kHashSeed;
  for (const char letter : word) hash = HashLetter(hash, letter);
  return hash;
}

void WordTable::Add(std::string_view word, std::uint64_t hash, std::uint64_t count) {
  // The high bits of a product are its best.
  const auto high = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = high & mask;
  for (; slots_[at] != 0; at = (at + 1) & mask) {
    Word& found = words_[slots_[at] - 1];
    if (found.hash == high && found.text() == word) {
      found.count += count;
      return;
    }
  }
  words_.push_back({Keep(word), static_cast<std::uint32_t>(word.size()), high, count});
  slots_[at] = static_cast<std::uint32_t>(words_.size());
  if (words_.size() * 4 > slots_.size() * 3) Grow();
}

void WordTable::Grow() {
  slots_ = std::vector<std::uint32_t>(slots_.size() * 2);
  const std::size_t mask = slots_.size() - 1;
  std::uint32_t index = 0;
  for (const Word& word : words_) {
    std::size_t at = word.hash & mask;
    while (slots_[at] != 0) at = (at + 1) & mask;
    slots_[at] = ++index;
  }
}

const char* WordTable::Keep(std::string_view word) {
  constexpr std::size_t kBlock = 64 << 10;
  if (word.size() > block_left_) {
    const std::size_t size = std::max(kBlock, word.size());
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    block_ = blocks_.back().get();
    block_left_ = size;
  }
  char* const kept = block_;
  std::copy(word.begin(), word.end(), kept);
  block_ += word.size();
  block_left_ -= word.size();
  return kept;
}

std::string CountPiece(const std::string& piece, std::uint64_t sequence) {
  const auto is_letter = [](char byte) { return LetterOf(byte) != 0; };
  const auto front_end = std::find_if_not(piece.begin(), piece.end(), is_letter);
  const auto back_begin = std::find_if_not(piece.rbegin(), piece.rend(), is_letter).base();
  const bool only_letters = front_end == piece.end();

  std::string encoded;
  if (only_letters) {
    encoded.reserve(piece.size() + 16);
    AppendLowered(piece, encoded);
    AppendNumber(sequence, encoded);
    AppendNumber(1, encoded);
    return encoded;
  }

  const std::string_view inner(&*front_end, static_cast<std::size_t>(back_begin - front_end));
  WordTable table(std::min<std::size_t>(inner.size() / 64, 16 * 1024));
  // The letters of one word, lower-cased; no word here is longer than this.
  const auto word = std::make_unique_for_overwrite<char[]>(inner.size() + 1);
  const char* at = inner.data();
  const char* const end = at + inner.size();
  while (at != end) {
    char letter = LetterOf(*at++);
    if (letter == 0) continue;
    std::size_t length = 0;
    std::uint64_t hash = WordTable::kHashSeed;
    do {
      word[length++] = letter;
      hash = WordTable::HashLetter(hash, letter);
      // A word never reaches the end: the letters there are not part of `inner`.
      letter = LetterOf(*at++);
    } while (letter != 0);
    table.Add(std::string_view(word.get(), length), hash, 1);
  }

  std::size_t bytes =
      16 + static_cast<std::size_t>(front_end - piece.begin()) + static_cast<std::size_t>(piece.end() - back_begin);
  for (const WordTable::Word& counted : table.words()) {
    bytes += counted.length + (static_cast<std::size_t>(std::bit_width(counted.count)) + 5) / 6;
  }
  encoded.reserve(bytes);
  AppendLowered({piece.data(), static_cast<std::size_t>(front_end - piece.begin())}, encoded);
  AppendNumber(sequence, encoded);
  AppendLowered({piece.data() + (back_begin - piece.begin()), static_cast<std::size_t>(piece.end() - back_begin)},
                encoded);
  AppendNumber(0, encoded);
  for (const WordTable::Word& counted : table.words()) {
    encoded += counted.text();
    AppendNumber(counted.count, encoded);
  }
  return encoded;
}

void WordTotals::Add(std::string_view word, std::uint64_t count) {
  table_.Add(word, count);
  words_ += count;
}

void WordTotals::Merge(std::string_view encoded) {
  const auto [front, sequence] = TakePair(encoded);
  const auto [back, only_letters] = TakePair(encoded);
  waiting_[sequence] = {std::string(front), std::string(back), only_letters != 0};
  while (!encoded.empty()) {
    const auto [word, count] = TakePair(encoded);
    Add(word, count);
  }
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_; ++next_) {
    Ends& ends = first->second;
    open_word_ += ends.front;
    if (!ends.only_letters) {
      if (!open_word_.empty()) Add(open_word_, 1);
      open_word_ = std::move(ends.back);
    }
    first = waiting_.erase(first);
  }
}

void WordTotals::Finish() {
  if (!open_word_.empty()) Add(open_word_, 1);
  open_word_.clear();
}

std::vector<const WordTable::Word*> WordTotals::Top(std::size_t most) const {
  std::vector<const WordTable::Word*> words;
  words.reserve(table_.words().size());
  for (const WordTable::Word& word : table_.words()) words.push_back(&word);
  most = std::min(most, words.size());
  const auto before = [](const WordTable::Word* a, const WordTable::Word* b) {
    return a->count != b->count ? a->count > b->count : a->text() < b->text();
  };
  const auto end_of_top = words.begin() + static_cast<std::ptrdiff_t>(most);
  std::nth_element(words.begin(), end_of_top, words.end(), before);
  std::sort(words.begin(), end_of_top, before);
  words.resize(most);
  return words;
}

}  // namespace word_count
