// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <unordered_map>

#include "model/symbol.hpp"
#include "store/database.hpp"

namespace fieldpost {

// A table of names that rows refer to by number. Two kinds of symbols meet here: those of the main
// thread, known by address, come in; those of `symbols`, which belong to the outbox, go out.
class Dictionary {
 public:
  // `table` has the columns id and `column`.
  static Result<Dictionary> open(Database& database, SymbolTable& symbols, const char* table,
                                 const char* column);

  // Its number, which it gets now if it has none. To be called within a transaction.
  Result<int64_t> id_of(Symbol name);
  // nullptr if the table does not have it. To be called outside of one.
  Result<Symbol> symbol_of(int64_t id);
  // After a transaction that was rolled back: numbers given in it are void.
  void forget() { ids_.clear(); }

 private:
  explicit Dictionary(SymbolTable& symbols) : symbols_(&symbols) {}

  SymbolTable* symbols_;
  Statement find_id_, find_name_, insert_;
  std::unordered_map<Symbol, int64_t> ids_;
  std::unordered_map<int64_t, Symbol> names_;
};

}  // namespace fieldpost
