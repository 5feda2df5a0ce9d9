from tests.gomega import gomega, person, stages, stranger

__all__ = ["gomega", "person", "stages", "stranger"]
