package lora

// Key is PEFT's key of a parameter of an adapter.
func Key(ad *Adapter, name string) string { return ad.key(name) }
