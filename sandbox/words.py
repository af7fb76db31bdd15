"""The words that names, addresses and notes are made of. A few are hard on purpose: accents, quotes, other scripts."""

FIRST_NAMES = (
    "Ada", "Amir", "Anneliese", "Beatriz", "Björn", "Caleb", "Chidi", "Dolores", "Edith", "Emeka", "Fiona", "Gus",
    "Hana", "Ignacio", "Imani", "Iñaki", "Jolene", "Kofi", "Lakshmi", "Leif", "Mabel", "Marguerite", "Mei", "Nadia",
    "Noé", "Odalys", "Otis", "Priya", "Quentin", "Renée", "Rosalind", "Søren", "Tobias", "Ursula", "Viktor", "Wanda",
    "Xochitl", "Yusuf", "Zoë", "李娜",
)  # fmt: skip
LAST_NAMES = (
    "Abernathy", "Alvarado", "Baptiste", "Bergström", "Castañeda", "Chaudhry", "D'Angelo", "Delacroix", "Eastwood",
    "Fitzgerald", "Garza-Núñez", "Hargrove", "Ibáñez", "Jablonski", "Kowalczyk", "Lindqvist", "MacTavish", "Montoya",
    "Nakamura", "O'Shaughnessy", "Okonkwo", "Pemberton", "Quiñones", "Ravenscroft", "Saltzman", "Thistlewood",
    "Underhill", "Van der Meer", "Whitlock", "Yamazaki", "Zielinski", "王",
)  # fmt: skip
COMPANY_STEMS = (
    "Blue Heron", "Cedar & Stone", "Café Olé", "Desert Bloom", "Dockside", "Evergreen", "Granite Peak", "Harbor Light",
    "Iron Kettle", "Juniper", "La Peña", "Little Acorn", "Magnolia", "North Fork", "O'Malley's", "Prairie Wind",
    "Red Lantern 紅燈", "Silver Birch", "Sunny Side ☀️", "Two Rivers",
)  # fmt: skip
COMPANY_KINDS = (
    "Apartments LLC", "Bakery", "Brewing Co.", "Dental Group", "Elementary School", "Fitness", "Hotel", "Inn & Suites",
    "Logistics, Inc.", "Property Management", "Realty", "Storage", "Veterinary Clinic",
)  # fmt: skip
STREET_NAMES = (
    "Alder", "Bellwether", "Cañon", "Chestnut Hill", "Cooper's Mill", "Dogwood", "El Niño", "Foxglove", "Gristmill",
    "Hawthorn", "Kingfisher", "Larkspur", "Mockingbird", "Old Ferry", "Pecan Grove", "Quarry", "Rosewood", "Saddleback",
    "Tumbleweed", "Wisteria",
)  # fmt: skip
STREET_KINDS = ("Ave", "Blvd", "Court", "Dr", "Lane", "Pl", "Rd", "St", "Trail", "Way")
CITIES = (
    ("Alder Creek", "TX", "78"), ("Bright Falls", "OR", "97"), ("Cañada Vista", "NM", "87"), ("Dunmore", "OH", "43"),
    ("Eagle's Rest", "CO", "80"), ("Fairhaven", "NC", "27"), ("Glenwood Park", "GA", "30"), ("Hidden Lake", "MN", "55"),
    ("Ironton", "PA", "15"), ("Peñasco Hills", "AZ", "85"),
)  # fmt: skip
UNITS = ("", "", "", "", "Apt 4", "Unit B", "Suite 210", "#7")

SYSTEMS = (
    "air conditioner", "furnace", "heat pump", "water heater", "tankless heater", "boiler", "mini split", "thermostat",
    "sump pump", "drain line", "main panel", "sewer line", "condenser", "air handler", "garbage disposal",
)  # fmt: skip
ACTIONS = (
    "Repair", "Replace", "Install", "Tune up", "Inspect", "Flush", "Diagnose", "Clean", "Upgrade", "Relocate",
    "Warranty visit for",
)  # fmt: skip
NOTES = (
    "Customer says the unit is loud at night.", "Gate code 4412, dog is friendly.", "Please call 30 minutes ahead.",
    "Second visit; part was back-ordered.", "Señora prefiere español.", "Left quote on the counter \U0001f44d",
    "Breaker trips when both zones run.", 'Says "it just stopped" on Sunday.', "Filter size 16x25x1.",
    "客户希望下午上门。", "No hot water since last night!", "Line 1\nLine 2: see photos.",
)  # fmt: skip
REVIEWS = (
    "On time, tidy and explained everything.", "Great job, ¡muchas gracias!", "A bit pricey but it works.",
    "Had to come back twice.", "Five stars ⭐⭐⭐⭐⭐",
)  # fmt: skip
MANUFACTURERS = ("Aerovane", "Borealis", "Coldstream", "Everflow", "Kestrel", "Norsund", "Tempra", "Zephyrine")
UNITS_OF_MEASURE = ("Each", "Foot", "Box", "Gallon", "Roll")
COLORS = ("#1F77B4", "#2CA02C", "#D62728", "#9467BD", "#8C564B", "#E377C2")
DOMAINS = ("example.com", "example.net", "example.org")

BUSINESS_UNITS = (
    "HVAC - Service", "HVAC - Install", "HVAC - Maintenance", "Plumbing - Service", "Plumbing - Install",
    "Plumbing - Drains", "Electrical - Service", "Electrical - Install",
)  # fmt: skip
CAMPAIGNS = (
    "Radio spring", "Postcard zone 3", "Web search", "Referral", "Yard signs", "Trucks", "Newsletter", "Home show",
    "Returning customer", "Neighbourhood page", "TV noon news", "Billboard I-40", "Door hangers", "School fair",
    "Realtor partners", "Holiday lights", "Tune-up special", "Website chat", "Maps listing", "Sponsorship ⚾",
)  # fmt: skip
TAGS = (
    "VIP", "Do not call", "Needs estimate", "Sold", "Warranty", "Financing", "Rental", "Spanish speaking", "Gate code",
    "Dog", "Senior discount", "First-time", "Callback", "Permit", "Two techs",
)  # fmt: skip
SKILLS = ("Gas fitting", "Backflow", "Refrigerant", "Panels", "Drains", "Controls", "Sheet metal", "Boilers", "Sales")
REASONS = (
    "Customer changed mind", "Duplicate", "No access", "Weather", "Waiting for parts", "Price", "Went with another",
    "Rescheduled", "Not needed any more", "Permit pending",
)  # fmt: skip
ACCOUNTS = (
    "Service revenue", "Install revenue", "Maintenance revenue", "Materials", "Equipment", "Subcontractors",
    "Sales tax payable", "Undeposited funds", "Checking", "Accounts receivable", "Accounts payable", "Inventory",
    "Customer deposits", "Discounts", "Bank fees",
)  # fmt: skip
CATEGORIES = (
    "Cooling", "Heating", "Hot water", "Drains & sewers", "Fixtures", "Panels & wiring", "Indoor air", "Filters",
)  # fmt: skip
ZONES = ("North", "North-east", "East", "South-east", "South", "South-west", "West", "North-west", "Centre", "Lakes")
PAYMENT_TYPES = ("Cash", "Check", "Credit card", "Financing", "Bank transfer", "Gift card", "Write-off", "Imported")
TRADES = ("HVAC", "Plumbing", "Electrical")
PRIORITIES = ("Low", "Normal", "High", "Urgent")
