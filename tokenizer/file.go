package tokenizer

// File returns what a file of the tokenizer holds, such as tokenizer.json or
// tokenizer_config.json, or nil. It must not be changed.
func (t *Tokenizer) File(name string) []byte { return t.files[name] }
