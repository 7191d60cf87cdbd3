#include <iostream>
#include <regex>
#include <string>

int main() {
    std::regex pattern("(\\w+)@(\\w+)\\.(com|org)");
    std::string text = "write to someone@example.org or nobody@example.com";
    for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i)
        std::cout << i->str(1) << " at " << i->str(2) << '\n';
}
