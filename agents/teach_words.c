/* SPDX-License-Identifier: MIT */
/* Words for values, and things people say to an assistant. Written for Bezel; nothing of it is from a benchmark. Adding to a list
 * changes the examples that a seed gives. */
#include "teach_impl.h"

#include <string.h>

static const char *const words_city[] = {
    "Oslo", "Lima", "Tokyo", "Paris", "Cairo", "Nairobi", "Toronto", "Madrid", "Berlin", "Rome", "Helsinki", "Boston",
    "Chicago", "Denver", "Sydney", "Mumbai", "Seoul", "Bangkok", "Vienna", "Prague", "Dublin", "Lisbon", "Athens",
    "Warsaw", "Zurich", "New York", "San Francisco", "Los Angeles", "Cape Town", "Buenos Aires", "Hong Kong", "New Delhi",
    "Seattle", "Miami", "Dallas", "London", "Munich", "Hamburg", "Osaka", "Singapore", "Istanbul", "Stockholm",
    "Copenhagen", "Brussels", "Montreal", "Austin, TX", "Portland, OR", "San Diego, CA", "Atlanta, GA", "Manchester",
    "Geneva", "Lyon", "Porto", "Naples", "Dubai", "Jakarta", "Hanoi", "Bogota", "Santiago", "Quito", "Accra", "Lagos",
    "Melbourne", "Auckland",
};
static const char *const words_country[] = {
    "Norway", "Peru", "Japan", "France", "Egypt", "Kenya", "Canada", "Spain", "Germany", "Italy", "Finland", "Australia",
    "India", "Brazil", "Mexico", "Poland", "Greece", "Sweden", "Portugal", "Chile", "South Korea", "Vietnam", "Turkey",
    "Ireland", "Austria", "Switzerland", "the Netherlands", "Morocco", "Argentina", "New Zealand",
};
static const char *const words_person[] = {
    "Alice Brown", "John Smith", "Maria Garcia", "Wei Chen", "Fatima Khan", "Emma Jones", "Liam Murphy", "Noah Davis",
    "Sofia Rossi", "Anna", "Ben", "Carla", "David", "Eva", "Frank", "Grace", "Henry", "Iris", "Jack", "Karim", "Lena",
    "Marco", "Nina", "Oscar", "Paula", "Ravi", "Sara", "Tom", "Yuki", "Olga Petrova", "Peter Novak", "Lucy Hall",
    "Daniel Kim",
};
static const char *const words_email[] = {
    "anna@example.com", "ben.miller@example.org", "info@example.net", "k.larsen@example.com", "sales@example.org",
    "maria@example.net",
};
static const char *const words_url[] = {
    "https://example.com", "https://example.org/news", "https://example.net/shop", "https://example.com/a/b",
};
static const char *const words_currency[] = {
    "USD", "EUR", "GBP", "JPY", "CHF", "INR", "CAD", "AUD", "SEK", "CNY",
};
static const char *const words_airport[] = {
    "JFK", "LAX", "LHR", "CDG", "FRA", "HND", "SIN", "OSL", "MAD", "AMS", "YYZ", "SYD",
};
static const char *const words_language[] = {
    "French", "German", "Spanish", "Finnish", "Japanese", "Italian", "Portuguese", "English", "Korean", "Hindi", "Dutch",
    "Greek", "Polish", "Turkish",
};
static const char *const words_color[] = {
    "red", "blue", "green", "yellow", "white", "black", "purple", "orange", "pink", "grey", "brown", "turquoise",
};
static const char *const words_room[] = {
    "kitchen", "bedroom", "living room", "office", "garage", "bathroom", "hall", "basement", "nursery", "dining room",
    "attic", "guest room",
};
static const char *const words_device[] = {
    "lamp", "heater", "fan", "television", "speaker", "printer", "washing machine", "dishwasher", "router",
    "coffee machine", "camera", "thermostat",
};
static const char *const words_team[] = {
    "Lakers", "Arsenal", "Barcelona", "Yankees", "Bulls", "Real Madrid", "Bayern Munich", "Celtics", "Juventus", "Red Sox",
    "Ajax", "Liverpool",
};
static const char *const words_company[] = {
    "Apple", "Tesla", "Nokia", "Google", "Microsoft", "Amazon", "Siemens", "Toyota", "Samsung", "Intel", "Netflix", "Sony",
    "Volvo", "Adobe", "Oracle",
};
static const char *const words_song[] = {
    "Yesterday", "Imagine", "Hey Jude", "Thriller", "Hallelujah", "Waterloo", "Billie Jean", "Let It Be", "Dancing Queen",
    "Stand by Me", "Respect",
};
static const char *const words_artist[] = {
    "The Beatles", "Adele", "Miles Davis", "Queen", "Nina Simone", "Bach", "Coldplay", "Madonna", "Bob Marley",
    "Radiohead", "Mozart", "ABBA",
};
static const char *const words_movie[] = {
    "Titanic", "Avatar", "Inception", "The Godfather", "Amelie", "Casablanca", "Gladiator", "Jaws", "Alien", "Up",
    "Frozen", "Psycho", "Rocky",
};
static const char *const words_book[] = {
    "Moby Dick", "Dracula", "Emma", "The Hobbit", "Dune", "Ulysses", "War and Peace", "Frankenstein", "Jane Eyre",
    "Don Quixote",
};
static const char *const words_cuisine[] = {
    "Italian", "Chinese", "Indian", "Thai", "Mexican", "Greek", "French", "Korean", "Lebanese", "Vietnamese", "Spanish",
};
static const char *const words_food[] = {
    "pizza", "sushi", "salad", "burger", "pasta", "ramen", "tacos", "curry", "steak", "pancakes", "lasagna", "omelette",
    "lentil soup", "risotto", "apple pie", "rice", "salmon", "tofu", "mushrooms", "potatoes",
};
static const char *const words_product[] = {
    "running shoes", "laptop", "headphones", "backpack", "coffee maker", "water bottle", "desk lamp", "tent", "bicycle",
    "keyboard", "phone case", "umbrella", "winter jacket", "office chair", "notebook", "blender",
};
static const char *const words_animal[] = {
    "dog", "cat", "blue whale", "elephant", "tiger", "red fox", "golden eagle", "honey bee", "koala", "wolf", "penguin",
    "giraffe", "octopus", "brown bear",
};
static const char *const words_sport[] = {
    "football", "basketball", "tennis", "baseball", "ice hockey", "cricket", "rugby", "golf", "volleyball", "swimming",
};
static const char *const words_subject[] = {
    "biology", "chemistry", "history", "physics", "music", "economics", "geography", "technology", "politics", "sports",
    "art", "health", "mathematics", "science",
};
static const char *const words_weekday[] = {
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
};
static const char *const words_message[] = {
    "I am late", "Happy birthday", "call me back", "the meeting is cancelled", "see you tomorrow", "good morning",
    "thank you", "where is the station", "the package has arrived", "please send the report", "dinner is at eight",
    "I love this place",
};
static const char *const words_task[] = {
    "buy milk", "call the dentist", "water the plants", "team meeting", "yoga class", "pay the rent", "project review",
    "walk the dog", "pick up the kids", "dinner with Anna", "book club", "oil change", "send the invoice",
    "budget planning",
};
static const char *const words_genre[] = {
    "rock", "jazz", "comedy", "drama", "thriller", "classical", "pop", "fantasy", "science fiction", "horror", "romance",
    "blues", "adventure", "mystery",
};
static const char *const words_instrument[] = {
    "guitar", "piano", "violin", "drums", "flute", "trumpet", "cello", "saxophone", "harp", "clarinet",
};
static const char *const words_unit[] = {
    "meters", "feet", "kilometers", "miles", "kilograms", "pounds", "celsius", "fahrenheit", "liters", "gallons", "inches",
    "centimeters",
};
static const char *const words_address[] = {
    "12 Main Street", "48 Park Avenue", "7 Rose Lane", "221 Hill Road", "5 Station Square", "90 Harbour Street",
};
static const char *const words_thing[] = {
    "alpha", "summer plan", "blue folder", "weekly report", "green valley", "north wing", "silver", "project Orion",
    "budget", "first draft", "backup", "archive", "harvest", "lighthouse", "winter sale",
};

#define WORDS(kind) {#kind, words_##kind, sizeof words_##kind / sizeof *words_##kind}
static const struct {
    const char *kind;
    const char *const *words;
    size_t n;
} words_rows[] = {
    WORDS(city), WORDS(country), WORDS(person), WORDS(email), WORDS(url), WORDS(currency), WORDS(airport),
    WORDS(language), WORDS(color), WORDS(room), WORDS(device), WORDS(team), WORDS(company), WORDS(song), WORDS(artist),
    WORDS(movie), WORDS(book), WORDS(cuisine), WORDS(food), WORDS(product), WORDS(animal), WORDS(sport), WORDS(subject),
    WORDS(weekday), WORDS(message), WORDS(task), WORDS(genre), WORDS(instrument), WORDS(unit), WORDS(address),
    WORDS(thing),
};
#define N_ROWS (sizeof words_rows / sizeof *words_rows)

const char *const *bz_teach_words(const char *kind, size_t *out_count)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(words_rows[i].kind, kind) == 0) {
            *out_count = words_rows[i].n;
            return words_rows[i].words;
        }
    return NULL;
}

const char *const *bz_teach_words_like(const char *word, size_t *out_count)
{
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t k = 0; k < words_rows[i].n; k++)
            if (strcmp(words_rows[i].words[k], word) == 0) {
                *out_count = words_rows[i].n;
                return words_rows[i].words;
            }
    return NULL;
}

static const bz_teach_chat words_talks[] = {
    {"Hello, are you there?", "Hello! How can I help you?"},
    {"Hi, nice to meet you.", "Hi! What can I do for you?"},
    {"Good morning!", "Good morning! How can I help?"},
    {"Thank you very much.", "You are welcome!"},
    {"Thanks, that was helpful.", "I am glad it helped."},
    {"Who am I talking to?", "I am an assistant. I can answer questions and call functions."},
    {"What can you do?", "I can answer questions, and call the functions I was given."},
    {"Do you know a good joke?", "Why did the bicycle fall over? Because it was two tired."},
    {"How is it going?", "I am fine, thank you. How can I help?"},
    {"Goodbye!", "Goodbye, and have a nice day!"},
    {"See you later.", "See you later!"},
    {"What is the capital of France?", "The capital of France is Paris."},
    {"What is the capital of Japan?", "The capital of Japan is Tokyo."},
    {"Who wrote Hamlet?", "Hamlet was written by William Shakespeare."},
    {"How many days are in a leap year?", "A leap year has 366 days."},
    {"Which planet is the largest?", "Jupiter is the largest planet of the solar system."},
    {"What color do you get from blue and yellow?", "Blue and yellow make green."},
    {"Is water heavier than oil?", "Yes, water is denser than oil, so oil floats on it."},
    {"What is the opposite of hot?", "The opposite of hot is cold."},
    {"Write a short line about the sea.", "The sea sings softly to the shore."},
    {"Tell me a fun fact.", "Honey never spoils."},
    {"What does CPU stand for?", "CPU stands for central processing unit."},
    {"Why is the sky blue?", "Air scatters blue light more than red light, so the sky looks blue."},
    {"How do plants make food?", "Plants make sugar from light, water and carbon dioxide."},
    {"Give me a synonym of big.", "A synonym of big is large."},
    {"Do you like music?", "I cannot listen to music, but I like talking about it."},
    {"I am bored.", "You could read a book, take a walk or call a friend."},
    {"What is a noun?", "A noun is a word that names a person, a place or a thing."},
    {"Sorry, never mind.", "No problem. Just ask when you need something."},
    {"That is all for today.", "All right. Have a nice day!"},
    {"How many continents are there?", "There are seven continents."},
    {"Explain rain in one sentence.", "Rain falls when drops in a cloud become too heavy to float."},
    {"What is the past tense of go?", "The past tense of go is went."},
    {"Can you hear me?", "I can read what you write. How can I help?"},
    {"Which ocean is the deepest?", "The Pacific Ocean is the deepest."},
};

const bz_teach_chat *bz_teach_talks(size_t *out_count)
{
    *out_count = sizeof words_talks / sizeof *words_talks;
    return words_talks;
}

static const char *const words_others[] = {
    "Book a table for four at an Italian restaurant tonight.",
    "What is the weather like in Oslo?",
    "Send an email to my manager saying that I am sick.",
    "How much is 250 dollars in euros?",
    "Play some relaxing music.",
    "Find a flight from Lima to Madrid in May.",
    "Turn off the lights in the garage.",
    "Set an alarm for seven in the morning.",
    "What is the share price of Siemens?",
    "Calculate the volume of a sphere with radius 6.",
    "Translate 'good evening' into Greek.",
    "Order two pizzas to my address.",
    "Who won the basketball game last night?",
    "How far is it from Boston to Chicago?",
    "Find me a recipe for mushroom risotto.",
    "Remind me to call Anna at five.",
    "What is the molar mass of sulfuric acid?",
    "Compute the standard deviation of 4, 8, 15, 16 and 23.",
    "Look up the court case number B2201.",
    "Rename the file report.txt to final.txt.",
    "How many calories are in a banana?",
    "Check whether 397 is a prime number.",
    "Reserve a hotel room in Vienna for three nights.",
    "Show me the latest news about space travel.",
    "What time is it in Auckland?",
    "Track my parcel with the number 48829.",
    "Delete all rows older than a year from the table orders.",
    "Which bus goes to the central station?",
    "Solve the equation 3x + 7 = 22.",
    "What is the population of Kenya?",
    "Convert 30 miles to kilometers.",
    "Plan a three day trip to Rome.",
    "How much tax do I pay on an income of 54000?",
    "Draw a picture of a cat.",
    "What is my blood type?",
    "Transfer 200 euros to Peter Novak.",
    "Find a used bicycle under 150 dollars.",
    "How old is the painting in the hall?",
    "Start the washing machine.",
    "Generate a password with 16 characters.",
    "What is the BMI of someone who weighs 70 kg and is 180 cm tall?",
    "List the players of the Lakers.",
    "Give me the chess move for white in this position.",
    "How do I get from Porto to Lisbon by train?",
    "Find out who painted the Night Watch and when.",
    "Predict the growth of a 1000 dollar deposit at 4 percent over 10 years.",
    "Cancel my appointment on Friday.",
    "Read me the next chapter of Dune.",
    "Measure the noise level in the office.",
    "Print the document on my desk twice.",
};

const char *const *bz_teach_others(size_t *out_count)
{
    *out_count = sizeof words_others / sizeof *words_others;
    return words_others;
}
