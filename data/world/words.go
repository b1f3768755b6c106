package world

// The words that subjects and values are made of. No word is a value of two
// attributes, and none is both a name and a value, so a word alone says what
// kind of thing it is. The order of a list is part of the world's version.

var givenNames = []string{
	"Mira", "Tomas", "Lena", "Oskar", "Nadia", "Felix", "Clara", "Hugo", "Ivy", "Jonas",
	"Rosa", "Viktor", "Wanda", "Emil", "Greta", "Pavel", "Sonia", "Bruno", "Alma", "Dario",
	"Edith", "Frida", "Gustav", "Helga", "Igor", "Julia", "Karl", "Lydia", "Martin", "Nora",
	"Otto", "Paula", "Rolf", "Sara", "Theo", "Ursula", "Vera", "Walter", "Yvonne", "Zoe",
}

var familyNames = []string{
	"Adler", "Brandt", "Castell", "Dorn", "Engel", "Fisk", "Grimm", "Hale", "Ibsen", "Jansen",
	"Keller", "Lang", "Moser", "Novak", "Olsen", "Petrov", "Quist", "Reed", "Stern", "Thorne",
	"Unger", "Voss", "Weber", "York", "Zorn", "Birk", "Crane", "Dahl", "Falk", "Gruber",
	"Holt", "Kern", "Lund", "Marsh", "Nagel", "Rask",
}

var thingLooks = []string{
	"humming", "crooked", "sleepy", "shining", "painted", "broken", "folding", "hidden",
	"lucky", "noisy", "patched", "rolling", "spotted", "twisted", "wobbly",
}

var thingNouns = []string{
	"kettle", "lantern", "mirror", "ladder", "basket", "clock", "wagon", "chair", "statue",
	"barrel", "pillow", "bucket",
}

var towns = []string{
	"Ardon", "Belmar", "Corvo", "Dunley", "Elmora", "Farrow", "Galen", "Harwick", "Istra", "Jorvik",
	"Kelby", "Lorne", "Merrow", "Norwell", "Orsa", "Pelham", "Quill", "Rovan", "Selby", "Tarn",
	"Ulmer", "Varna", "Westow", "Yarrow", "Zella", "Ashby", "Brill", "Calder", "Denholm", "Eskby",
	"Fenwick", "Glenby", "Hollin", "Ivers", "Kirkow", "Lowick", "Marden", "Oakham", "Penrith", "Sandor",
}

// Every job and pet begins with a consonant, so that "a" fits all of them and
// the article gives nothing away.
var jobs = []string{
	"baker", "potter", "weaver", "miller", "sailor", "tailor", "farmer", "painter", "doctor", "teacher",
	"nurse", "judge", "pilot", "barber", "guard", "hunter", "mason", "plumber", "porter", "printer",
	"singer", "tanner", "waiter", "writer", "clerk", "diver", "dancer", "gardener", "cobbler", "banker",
}

var foods = []string{
	"bread", "soup", "rice", "beans", "plums", "pears", "figs", "nuts", "honey", "cheese", "corn", "peas",
	"cake", "dates", "grapes", "lentils", "melon", "noodles", "olives", "pasta", "pie", "stew", "toast", "cherries",
}

var pets = []string{
	"fox", "cat", "dog", "goat", "hen", "horse", "rabbit", "parrot",
	"turtle", "mouse", "pony", "duck", "lizard", "snake", "frog", "hamster",
}

var instruments = []string{
	"drum", "flute", "harp", "fiddle", "horn", "lute", "cello", "piano", "trumpet", "guitar", "banjo", "tuba",
}

var materials = []string{
	"glass", "copper", "oak", "clay", "silk", "straw", "marble", "leather", "paper", "silver", "wool", "bone", "wax", "iron",
}

var rooms = []string{
	"kitchen", "cellar", "attic", "garden", "hall", "library", "stable", "tower",
	"bedroom", "workshop", "chapel", "pantry", "porch", "study", "barn", "garage",
}

var months = []string{
	"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December",
}

// The words of stories and tasks. The characters of stories have one name and
// no facts, so a question about them has no answer.
var (
	characters = []string{"Pip", "Dot", "Max", "Tess", "Finn", "Ruby", "Gus", "Lulu", "Sam", "Poppy", "Ned", "Kit"}
	places     = []string{"river", "forest", "market", "hill", "bridge", "beach", "field", "cave"}
	objects    = []string{"kite", "rope", "boat", "coat", "key", "map", "ball", "hat", "spoon", "ribbon"}
	feelings   = []string{"happy", "sad", "tired", "hungry", "afraid", "proud", "angry", "calm"}
	numbers    = []string{
		"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
		"eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
	}
	// unknowables are asked for and never told of anybody.
	unknowables = []string{"birthday", "shoe size", "middle name", "telephone number", "favourite colour", "oldest friend"}
)
