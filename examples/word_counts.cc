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

struct Pair {
  std::string_view letters;
  std::uint64_t hash;  // of the letters
  std::uint64_t number;
};

// Takes one (letters, number) off the front.
Pair TakePair(std::string_view& encoded) {
  Pair pair{.letters = {}, .hash = WordTable::kHashSeed, .number = 0};
  std::size_t at = 0;
  for (; at < encoded.size() && static_cast<unsigned char>(encoded[at]) < 0x80; ++at) {
    pair.hash = WordTable::HashLetter(pair.hash, encoded[at]);
  }
  pair.letters = encoded.substr(0, at);
  bool more = at < encoded.size();
  for (int shift = 0; more; ++at, shift += 6) {
    pair.number |= static_cast<std::uint64_t>(encoded[at] & 0x3F) << shift;
    more = (encoded[at] & 0x40) != 0;
  }
  encoded.remove_prefix(at);
  return pair;
}

}  // namespace

WordTable::WordTable(std::size_t expected) : slots_(std::bit_ceil(std::max<std::size_t>(expected * 4 / 3, 64))) {}

std::uint64_t WordTable::Hash(std::string_view word) {
  std::uint64_t hash = kHashSeed;
  for (const char letter : word) hash = HashLetter(hash, letter);
  return hash;
}

void WordTable::Add(std::string_view word, std::uint64_t hash, std::uint64_t count) {
  const auto high = static_cast<std::uint32_t>(hash >> 32);
  std::size_t at = First(hash);
  for (; slots_[at].word != 0; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].hash != high) continue;
    Word& found = words_[slots_[at].word - 1];
    if (found.text() == word) {
      found.count += count;
      return;
    }
  }
  words_.push_back({Keep(word), static_cast<std::uint32_t>(word.size()), count});
  slots_[at] = {high, static_cast<std::uint32_t>(words_.size())};
  if (words_.size() * 4 > slots_.size() * 3) Grow();
}

void WordTable::Grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.word == 0) continue;
    std::size_t at = slot.hash & (slots_.size() - 1);
    while (slots_[at].word != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
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
  // The letters of one word, lower-cased. Written through locals: a char may be anything, also the string's own fields.
  std::string word(64, '\0');
  char* letters = word.data();
  std::size_t room = word.size();
  const char* at = inner.data();
  const char* const end = at + inner.size();
  while (at != end) {
    char letter = LetterOf(*at++);
    if (letter == 0) continue;
    std::size_t length = 0;
    std::uint64_t hash = WordTable::kHashSeed;
    do {
      if (length == room) {
        word.resize(room *= 2);
        letters = word.data();
      }
      letters[length++] = letter;
      hash = WordTable::HashLetter(hash, letter);
      // A word never reaches the end: the letters there are not part of `inner`.
      letter = LetterOf(*at++);
    } while (letter != 0);
    table.Add(std::string_view(letters, length), hash, 1);
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

void WordTotals::AddOne(std::string_view word) {
  table_.Add(word, WordTable::Hash(word), 1);
  ++words_;
}

void WordTotals::Merge(std::string_view encoded) {
  const Pair front = TakePair(encoded);
  const Pair back = TakePair(encoded);
  waiting_[front.number] = {std::string(front.letters), std::string(back.letters), back.number != 0};
  // The table is larger than the processor's caches: some words ahead, so that they are fetched together.
  std::array<Pair, 16> ahead;
  while (!encoded.empty()) {
    std::size_t count = 0;
    while (count < ahead.size() && !encoded.empty()) {
      ahead[count] = TakePair(encoded);
      table_.Expect(ahead[count++].hash);
    }
    for (std::size_t i = 0; i < count; ++i) {
      table_.Add(ahead[i].letters, ahead[i].hash, ahead[i].number);
      words_ += ahead[i].number;
    }
  }
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_; ++next_) {
    Ends& ends = first->second;
    open_word_ += ends.front;
    if (!ends.only_letters) {
      if (!open_word_.empty()) AddOne(open_word_);
      open_word_ = std::move(ends.back);
    }
    first = waiting_.erase(first);
  }
}

void WordTotals::Finish() {
  if (!open_word_.empty()) AddOne(open_word_);
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
