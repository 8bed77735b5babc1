# Prints what zsh offers at the end of a command line, one a line: complete.zsh SCRIPT COMMAND-LINE
#
# Completion works only at a terminal, so a second zsh gets one (zpty). There compadd, through which everything that is
# offered passes, also writes it down.

zmodload zsh/zpty
record=$(mktemp)
cat > $record.rc <<RC
PROMPT=
autoload -Uz compinit && compinit -C -d ${(q)1}.dump
source ${(q)1}
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
compadd() {
  local -a offered
  # Asked only for what it would offer, it must not be asked again.
  if [[ "\${@[1,(i)(-|--)]}" != *-(O|A|D)\ * ]]; then
    builtin compadd -O offered "\$@"
    print -rl -- \$offered >> $record
  fi
  builtin compadd "\$@"
}
finished() { print -r -- done >> $record; }
comppostfuncs=(finished)
print ready
RC
zpty terminal zsh -f -i
zpty -w terminal "source $record.rc"
zpty -r -m terminal line '*ready*'
zpty -w -n terminal "$2"$'\t'
repeat 500; do
  [[ $(tail -n 1 $record) == done ]] && break
  zpty -r -t terminal line
  sleep 0.02
done
zpty -d terminal
sed '$d' $record
rm -f $record $record.rc
