// SPDX-License-Identifier: Apache-2.0
#include "store/dictionary.hpp"

namespace fieldpost {

Result<Dictionary> Dictionary::open(Database& database, SymbolTable& symbols, const char* table,
                                    const char* column) {
  const std::string t = table;
  const std::string c = column;
  Dictionary dictionary(symbols);
  dictionary.find_id_ =
      FP_TRY(database.prepare(("SELECT id FROM " + t + " WHERE " + c + " = ?").c_str()));
  dictionary.find_name_ =
      FP_TRY(database.prepare(("SELECT " + c + " FROM " + t + " WHERE id = ?").c_str()));
  dictionary.insert_ = FP_TRY(
      database.prepare(("INSERT INTO " + t + " (" + c + ") VALUES (?) RETURNING id").c_str()));
  return dictionary;
}

Result<int64_t> Dictionary::id_of(Symbol name) {
  if (const auto it = ids_.find(name); it != ids_.end()) return it->second;
  int64_t id = 0;
  for (Statement* statement : {&find_id_, &insert_}) {
    const ResetGuard guard(*statement);
    statement->bind_text(1, *name);
    if (!FP_TRY(statement->step())) continue;
    id = statement->integer(0);
    break;
  }
  ids_.emplace(name, id);
  return id;
}

Result<Symbol> Dictionary::symbol_of(int64_t id) {
  if (const auto it = names_.find(id); it != names_.end()) return it->second;
  const ResetGuard guard(find_name_);
  find_name_.bind(1, id);
  if (!FP_TRY(find_name_.step())) return nullptr;
  const Symbol name = symbols_->intern(find_name_.text(0));
  names_.emplace(id, name);
  return name;
}

}  // namespace fieldpost
