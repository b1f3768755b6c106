package tokenizer

import (
	"encoding/json"
	"fmt"
)

// namedToken is a token in tokenizer_config.json: its text, or an object with
// the key content.
type namedToken string

func (n *namedToken) UnmarshalJSON(b []byte) error {
	var s struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(b, (*string)(n)) == nil {
		return nil
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*n = namedToken(s.Content)
	return nil
}

// specialNames lists the tokens that tokenizer_config.json and special_tokens_map.json
// name, by role or among the additional ones.
func specialNames(files map[string][]byte) ([]string, error) {
	var names []string
	for _, file := range []string{configFile, specialsFile} {
		if files[file] == nil {
			continue
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(files[file], &keys); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, role := range []string{"bos", "eos", "unk", "sep", "pad", "cls", "mask"} {
			var n namedToken
			if json.Unmarshal(keys[role+"_token"], &n) == nil && n != "" { // else readSpecials says what is wrong
				names = append(names, string(n))
			}
		}
		for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} {
			var list []namedToken
			_ = json.Unmarshal(keys[key], &list) // an object holds tokens of other models than of text
			for _, n := range list {
				names = append(names, string(n))
			}
		}
	}
	return names, nil
}

// readSpecials finds BOS, EOS and pad by name in tokenizer_config.json and
// special_tokens_map.json, else by id in config.json.
func (t *Tokenizer) readSpecials() error {
	t.special = specials{bos: -1, eos: -1, pad: -1}
	roles := []struct {
		name, id string
		into     *int32
	}{
		{"bos_token", "bos_token_id", &t.special.bos},
		{"eos_token", "eos_token_id", &t.special.eos},
		{"pad_token", "pad_token_id", &t.special.pad},
	}
	for _, file := range []string{configFile, specialsFile, "config.json"} {
		if t.files[file] == nil {
			continue
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(t.files[file], &keys); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, r := range roles {
			if *r.into >= 0 {
				continue
			}
			var err error
			if file == "config.json" {
				err = t.byID(keys[r.id], r.into)
			} else {
				err = t.byName(keys[r.name], r.into)
			}
			if err != nil {
				return fmt.Errorf("%s: key %q: %w", file, r.name, err)
			}
		}
		if file == configFile {
			_ = json.Unmarshal(keys["add_bos_token"], &t.special.addBOS) // absent is false
			t.special.chatTemplate = configTemplate(keys["chat_template"])
		}
	}
	if raw := t.files[templateFile]; raw != nil {
		t.special.chatTemplate = string(raw)
	}
	return nil
}

// configTemplate reads a chat template, or of a list of them the one called default.
func configTemplate(raw json.RawMessage) string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one
	}
	var list []struct{ Name, Template string }
	_ = json.Unmarshal(raw, &list) // anything else is no template
	for _, t := range list {
		if t.Name == "default" {
			return t.Template
		}
	}
	return ""
}

func (t *Tokenizer) byName(raw json.RawMessage, into *int32) error {
	if absent(raw) {
		return nil
	}
	var n namedToken
	if err := json.Unmarshal(raw, &n); err != nil {
		return err
	}
	id, ok := t.ID(string(n))
	if !ok {
		return fmt.Errorf("the token %q is not in the vocabulary", n)
	}
	*into = id
	return nil
}

// byID takes an id, or the first of a list of ids, if the vocabulary has it.
func (t *Tokenizer) byID(raw json.RawMessage, into *int32) error {
	var ids []int32
	var one *int32
	if !absent(raw) && json.Unmarshal(raw, &one) == nil && one != nil {
		ids = []int32{*one}
	} else if !absent(raw) {
		if err := json.Unmarshal(raw, &ids); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		if _, ok := t.Token(ids[0]); ok {
			*into = ids[0]
		}
	}
	return nil
}
