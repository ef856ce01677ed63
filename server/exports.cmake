# cmake -DHEADERS=a;b -DOUT=FILE -P exports.cmake: what the program exports to plugins, as a list for
# the linker: every word of the installed headers that begins with wp_. What is no symbol is no harm.
set(words "")
foreach(header ${HEADERS})
  file(READ ${header} text)
  string(REGEX MATCHALL "wp_[A-Za-z0-9_]+" found "${text}")
  list(APPEND words ${found})
endforeach()
list(SORT words)
list(REMOVE_DUPLICATES words)
list(JOIN words ";\n" text)
file(WRITE ${OUT} "{\n${text};\n};\n")
