// A program in which symbols_check.sh finds what it is told to.
namespace probe {

[[gnu::noipa]] int Answer(int argument) { return argument + 41; }

}  // namespace probe

int main(int argc, char**) { return probe::Answer(argc) == 42 ? 0 : 1; }
