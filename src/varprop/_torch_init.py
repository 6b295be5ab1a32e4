"""stub"""
class InitReport: pass
class LayerInit: pass
def init_(m): pass
